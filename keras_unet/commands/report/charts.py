"""Curves over the steps of training, as SVG within the page: no library, no script, colours from the page's style."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_unet.commands.report.axes import Axis, in_short, linear_axis, log_axis
from keras_unet.commands.report.markup import Html, tag

Points = Sequence[tuple[int, float]]

COLOURS = 8

_WIDTH, _HEIGHT = 440, 260  # units of the drawing; text is 12 of them high
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 18, 36
_SHOWN = 400  # pairs of points of a line: more than a screen has columns for
_DOTTED = 40  # points of a line that are shown one by one


@dataclass(frozen=True)
class Line:
    """A curve.

    Args:
        name: For the legend.
        points: Steps, in order, and values, all finite.
        style: Lines of one number look alike from chart to chart.
        best: Step of the point to ring, or None.
    """

    name: str
    points: Points
    style: int = 0
    best: int | None = None


def chart(title: str, lines: Sequence[Line], *, log: bool = False, best: int | None = None) -> Html:
    """Curves under a title, above their legend; a sentence if there is nothing to draw.

    Args:
        title: Of the chart.
        lines: Curves; what is empty is left out.
        log: Whether the values take a logarithmic axis, where 0 has no place.
        best: Step to mark with an upright line, or None.
    """
    drawn = [_positive(line) if log else line for line in lines]
    drawn = [line for line in drawn if line.points]
    if not drawn:
        return tag("figure", tag("figcaption", title), tag("p", "No figures yet.", class_="note"), class_="chart")
    across = linear_axis([0, *(step for line in drawn for step, _ in line.points)])
    down = (log_axis if log else linear_axis)([value for line in drawn for _, value in line.points])
    place = _Place(across, down)
    parts = [_grid(place), _upright(place, best), [_curve(place, line) for line in drawn]]
    words = f"{title} over steps: {', '.join(line.name for line in drawn)}"
    picture = tag("svg", parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=words)
    heading = tag("figcaption", title, tag("small", " logarithmic") if log else None)
    return tag("figure", heading, picture, _legend(drawn), class_="chart")


@dataclass(frozen=True)
class _Place:
    """Where steps and values are drawn."""

    across: Axis
    down: Axis

    def x(self, step: float) -> float:
        return round(_LEFT + self.across.place(step) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(_TOP + (1 - self.down.place(value)) * (_HEIGHT - _TOP - _BOTTOM), 1)


def _positive(line: Line) -> Line:
    return Line(line.name, [(step, value) for step, value in line.points if value > 0], line.style, line.best)


def _grid(place: _Place) -> list[Html]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for value in place.down.ticks:
        y = place.y(value)
        parts += [tag("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid")]
        parts += [tag("text", in_short(value), x=_LEFT - 6, y=y + 4, text_anchor="end")]
    for step in place.across.ticks:
        x = place.x(step)
        parts += [tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis")]
        anchor = "end" if x > right - _RIGHT else "middle"  # a long number at the edge would be cut
        parts += [tag("text", in_short(step), x=x, y=bottom + 17, text_anchor=anchor)]
    parts += [tag("path", d=f"M{_LEFT} {_TOP}V{bottom}H{right}", class_="axis")]
    return [*parts, tag("text", "step", x=(_LEFT + right) / 2, y=_HEIGHT - 4, text_anchor="middle")]


def _upright(place: _Place, step: int | None) -> list[Html]:
    if step is None or not place.across.low <= step <= place.across.high:
        return []
    x = place.x(step)
    anchor = "end" if x > _WIDTH * 0.8 else "start" if x < _WIDTH * 0.2 else "middle"
    mark = tag("line", x1=x, x2=x, y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="best")
    return [mark, tag("text", f"best, step {step:,}", x=x, y=_TOP - 6, text_anchor=anchor)]


def _curve(place: _Place, line: Line) -> Html:
    points = [(place.x(step), place.y(value)) for step, value in _thinned(line.points)]
    parts: list[object] = [tag("title", line.name)]
    parts += [tag("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in points))]
    if len(points) <= _DOTTED:
        parts += [tag("circle", cx=x, cy=y, r=2.2, class_="dot") for x, y in points]
    parts += [
        tag("circle", tag("title", f"best: {value:.4g} at step {step}"), cx=place.x(step), cy=place.y(value), r=5.5)
        for step, value in line.points
        if step == line.best
    ]
    return tag("g", parts, class_=_classes(line))


def _thinned(points: Points) -> Points:
    """Of many points the lowest and the highest of each stretch, so that no peak is lost."""
    if len(points) <= 2 * _SHOWN:
        return points
    kept: list[tuple[int, float]] = []
    for part in range(_SHOWN):
        stretch = points[len(points) * part // _SHOWN : len(points) * (part + 1) // _SHOWN]
        ends = min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])
        kept += sorted(set(ends))
    return kept


def _legend(lines: Sequence[Line]) -> Html:
    keys = [
        tag("svg", tag("g", tag("polyline", points="1,5 23,5"), class_=_classes(line)), viewBox="0 0 24 10")
        for line in lines
    ]
    return tag("ul", [tag("li", key, line.name) for key, line in zip(keys, lines, strict=True)], class_="legend")


def _classes(line: Line) -> str:
    """Colours come again in turn, then with dashes, then with dots."""
    return f"line c{line.style % COLOURS} d{line.style // COLOURS % 3}"
