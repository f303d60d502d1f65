"""JSON from a server that may be anybody's."""

import json
import reprlib
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist, _SHORT.maxstring = 2, 3, 3, 60


def parsed(text: str | bytes) -> Any:
    """The value that a JSON text holds.

    Raises:
        ValueError: If it is no JSON, or nested so deeply that Python gives up.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("Expected JSON that is not nested so deeply.") from None


def shown(value: Any) -> str:
    """A value in a few words for a message, however large or deeply nested it is."""
    return f"{_SHORT.repr(value):.200}"
