"""The sentence of a refused request, without TensorFlow's technical surroundings."""

import re

_LONGEST = 4096  # characters of a sentence: whatever comes from the other end is to be read by people


def sentence(message: str) -> str:
    """What an exported model has to say about a request it refuses.

    Args:
        message: Text of the error: `tf.errors.InvalidArgumentError.message`, or what a server answers. It may be long
            and of any content: the time is proportional to its length.

    Returns:
        "Expected … Received …." if the refusal is one of ours, else the last line of `message` that names no node; at
        most about 4000 characters of it.
    """
    found = next(filter(None, map(_own_sentence, message.split("\n"))), None)
    if found:
        return f"{found}."
    lines = [line.strip() for line in message.splitlines() if line.strip() and "{{node" not in line]
    said = [line for line in lines if not line.startswith("Graph execution error")]
    return said[-1][:_LONGEST] if said else "The request was refused."


def _own_sentence(line: str) -> str | None:
    start = line.find("Expected ")
    if start < 0:
        return None
    # One search from the first "Expected": trying every later one too takes quadratic time on a hostile text.
    found = re.match(r"Expected .*? Received [^\]]*?(?=\.?\]|\.? : |\.?$)", line[start : start + _LONGEST])
    return found.group(0) if found else None
