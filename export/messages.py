"""The sentence of a refused request, without TensorFlow's technical surroundings."""

import re


def sentence(message: str) -> str:
    """What an exported model has to say about a request it refuses.

    Args:
        message: Text of the error: `tf.errors.InvalidArgumentError.message`, or what a server answers.

    Returns:
        "Expected … Received …." if the refusal is one of ours, else the last line of `message` that names no node.
    """
    found = re.search(r"Expected [^\n]*? Received [^\n\]]*?(?=\.?\]|\.? : |\.?\n|\.?$)", message)
    if found:
        return f"{found.group(0)}."
    lines = [line.strip() for line in message.splitlines() if line.strip() and "{{node" not in line]
    said = [line for line in lines if not line.startswith("Graph execution error")]
    return said[-1] if said else "The request was refused."
