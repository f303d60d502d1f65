"""The sentence of a refused request, without TensorFlow's technical surroundings."""

import re


def sentence(message: str) -> str:
    """What an exported model has to say about a request it refuses.

    Args:
        message: Text of the error: `tf.errors.InvalidArgumentError.message`, or what a server answers.

    Returns:
        "Expected … Received …." if the refusal is one of ours, else the last line of `message`.
    """
    found = re.search(r"Expected [^\n]*? Received [^\n\]]*?(?=\.?\]|\.? : |\.?\n|\.?$)", message)
    if found:
        return f"{found.group(0)}."
    return (message.strip().splitlines() or ["The request was refused."])[-1]
