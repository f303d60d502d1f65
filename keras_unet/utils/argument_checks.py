"""Checks of arguments that several rooms share."""

import operator
import os
from collections.abc import Sequence
from typing import Any


def whole_number(value: Any, name: str, least: int | None = None) -> int:
    """`value` as an integer of Python's own; NumPy's integers are taken, floats and booleans are not.

    Args:
        value: What the caller gave.
        name: What to call it in the message.
        least: The smallest legal value; None for no limit.

    Raises:
        ValueError: If it is no integer, or less than `least`.
    """
    bound = "" if least is None else f" of at least {least}"
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        raise ValueError(f"Expected a whole number{bound} for {name}. Received {value!r}.")
    return number


def refuse_path(value: Any, remedy: str) -> None:
    """Refuse the path of a file or folder where an array belongs: its letters would be taken for values.

    Raises:
        ValueError: If it is a path; `remedy` names the function that reads one.
    """
    if isinstance(value, str | bytes | os.PathLike):
        raise ValueError(f"Expected arrays. Received the path {os.fspath(value)!r}: {remedy}.")


def check_class_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of the classes, background first.

    Args:
        names: What the caller gave.
        count: Number of classes.

    Raises:
        ValueError: If they are not `count` texts, one is empty, or two are alike.
    """
    texts = () if isinstance(names, str) else tuple(names)
    named = all(isinstance(name, str) and name.strip() for name in texts)
    if not named or len(texts) != count or len(set(texts)) != count:
        raise ValueError(
            f"Expected {count} class names, background first, none empty and no two alike. Received {names!r}."
        )
    return texts
