"""HTML put together so that text is escaped unless it was made here."""

import base64
import html
import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_VOID = frozenset({"meta", "link", "img", "br"})
_NONE = "–"
_LONG = 70  # characters, more than three short lines


class Html(str):
    """Text that is markup already; every other string is escaped by `tag`."""

    __slots__ = ()


def tag(name: str, /, *content: object, **attributes: object) -> Html:
    """An element.

    Args:
        name: Of the element.
        content: `Html` as it is, other things as escaped text, lists and tuples of both; None is nothing.
        attributes: Their values are escaped, those that are None left out; `class_` is `class`, `stroke_width`
            `stroke-width`.
    """
    pairs = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    written = "".join(f' {key}="{html.escape(str(value))}"' for key, value in pairs.items())
    opened = f"<{name}{written}>"
    return Html(opened if name in _VOID else f"{opened}{joined(*content)}</{name}>")


def joined(*content: object) -> Html:
    """Contents, as those of `tag`, one behind the other."""
    return Html("".join(_text(one) for one in content))


def _text(one: object) -> str:
    if one is None:
        return ""
    if isinstance(one, Html):
        return one
    if isinstance(one, list | tuple):
        return joined(*one)
    return html.escape(str(one))


def number(value: object, digits: int = 4) -> Html:
    """A figure rounded for the eye, which keeps its exact value for programs; a dash for what is no finite number."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return Html(_NONE)
    return tag("data", f"{value:.{digits}f}" if isinstance(value, float) else f"{value:,}", value=repr(value))


def table(head: Sequence[object], rows: Iterable[Sequence[object]], caption: str | None = None) -> Html:
    """A table whose first column names the rows; it scrolls by itself where it is wider than the page."""
    named = None if caption is None else tag("figcaption", caption, class_="note")
    titles = tag("thead", tag("tr", [tag("th", title, scope="col") for title in head]))
    body = [tag("tr", tag("th", row[0], scope="row"), [tag("td", cell) for cell in row[1:]]) for row in rows]
    # A caption within the table would scroll with it.
    return tag("figure", named, tag("div", tag("table", titles, tag("tbody", body)), class_="wide"))


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names with what is known of each; those of which nothing is are left out, long ones take a line."""
    known = [(name, value, "long" if _is_long(value) else None) for name, value in pairs if value not in (None, "")]
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value), class_=kind) for name, value, kind in known])


def _is_long(value: object) -> bool:
    return not isinstance(value, Html) and len(str(value)) > _LONG


def picture(pixels: NDArray[np.uint8], alt: str) -> Html:
    """A picture within the page, as a PNG.

    Args:
        pixels: `(height, width, 3)`, RGB.
        alt: What is told in its place.
    """
    height, width = pixels.shape[:2]
    grey = bool((pixels == pixels[..., :1]).all())
    _, png = cv2.imencode(".png", pixels[..., 0] if grey else pixels[..., ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 9))
    encoded = base64.b64encode(png.tobytes()).decode("ascii")
    return tag("img", src=f"data:image/png;base64,{encoded}", alt=alt, width=width, height=height)
