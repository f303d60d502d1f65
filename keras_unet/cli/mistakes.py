"""What is told of a user's mistakes: wrong use of the command line, and errors in one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def wrong_use() -> Iterator[None]:
    """Where an argument that is refused is the command line's: exit status 2."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def sentence_of(error: Exception) -> str | None:
    """What to tell of an error on one line; None for an error that is ours to mend and shows where it arose."""
    # TensorFlow's error is told by name, as TensorFlow may not have been imported.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "Expected enough memory. Received an image, tile, batch or net too large for it: try a smaller one."
    if isinstance(error, ModuleNotFoundError) and error.name == "tensorflow":
        return "Expected TensorFlow, which only `segment` does without. Received none: pip install tensorflow."
    if not isinstance(error, ValueError | OSError):
        return None
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    # Keras wraps what a layer raised in what it was called with; the cause stands between two codes for bold.
    inner = re.search("\x1b\\[1m(.*?)\x1b\\[0m", str(error), re.DOTALL)
    return " ".join((inner[1] if inner else str(error)).split())
