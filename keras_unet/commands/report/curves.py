"""Curves and figures over the steps of training, of one run and of several."""

from collections.abc import Sequence

from keras_unet.commands.report.charts import Line, chart
from keras_unet.commands.report.markup import Html, number, table, tag
from keras_unet.commands.report.summary import data_fingerprint, settings
from keras_unet.training.dead_filters import shares_in
from keras_unet.training.history import History

_LOSSES = {"loss": "training loss", "val_loss": "validation loss"}
_FIGURES = {
    "val_mean_iou": "mean IoU",
    "val_mean_dice": "mean Dice",
    "val_pixel_accuracy": "pixel accuracy",
    "val_rand_error": "Rand error",
    "val_seg": "SEG",
}
_RATE = "learning_rate"
_WIDE = 30.0  # ratio of the largest to the smallest loss from which on a logarithmic axis shows more
_LONGEST = 28  # characters of a setting in a table
_NOT_COMPARED = ("data.path",)


def charts_of(history: History) -> Html:
    """Losses, validation figures and learning rate of a run, the best step marked."""
    best = history.best_step
    monitored = f"val_{history.monitor}"

    def lines(columns: dict[str, str]) -> list[Line]:
        named = enumerate(columns.items())
        return [
            Line(name, history.curve(column), style, best if column == monitored else None)
            for style, (column, name) in named
        ]

    losses = lines(_LOSSES)
    drawn = [
        chart("Loss", losses, log=_wide(losses), best=best),
        chart("Validation figures", lines(_FIGURES), best=best),
        chart("Learning rate", lines({_RATE: "learning rate"}), log=True, best=best),
    ]
    dead = lines({f"dead_{level}": level for level in shares_in(dict.fromkeys(history.columns, 0.0))})
    if any(line.points for line in dead):
        drawn.append(chart("Share of dead filters by level", dead, best=best))
    return tag("div", drawn, class_="charts")


def charts_of_all(histories: Sequence[History], names: Sequence[str]) -> Html:
    """A chart for each figure with a curve for each run; what decided on a run's weights is ringed."""
    drawn = []
    for column, title in {**_LOSSES, **_FIGURES, _RATE: "learning rate"}.items():
        lines = [
            Line(name, one.curve(column), style, one.best_step if column == f"val_{one.monitor}" else None)
            for style, (one, name) in enumerate(zip(histories, names, strict=True))
        ]
        if any(line.points for line in lines):
            log = column == _RATE or (column in _LOSSES and _wide(lines))
            drawn.append(chart(title[:1].upper() + title[1:], lines, log=log))
    return tag("div", drawn, class_="charts")


def figures_of(history: History) -> Html:
    """Best and last figures of a run's log, or a sentence if nothing was validated."""
    if not any(history.curve(column) for column in ("val_loss", *_FIGURES)):
        return tag("p", _why_unvalidated(history), class_="note")
    kept = history.best_step
    rows = [
        [
            tag("strong", name, " (decides)") if column == f"val_{history.monitor}" else name,
            *_point(history.best(column)),
            number(dict(history.curve(column)).get(kept or -1)),
            *_point(history.last(column)),
        ]
        for column, name in {**_LOSSES, **_FIGURES}.items()
        if history.curve(column)
    ]
    at_kept = "at the kept step" if kept is None else f"at the kept step {kept:,}"
    head = ["figure", "best", "at step", at_kept, "last", "at step"]
    return table(
        head,
        rows,
        "Figures of the log: losses per pixel, Rand error and SEG of whole images, the others of the validation tiles.",
    )


def figures_of_all(histories: Sequence[History], names: Sequence[str]) -> Html:
    """Runs with their figures, best and last."""
    columns = {
        column: name for column, name in {**_LOSSES, **_FIGURES}.items() if any(one.curve(column) for one in histories)
    }
    titles = [f"{name}, {which}" for name in columns.values() for which in ("best", "last")]
    rows = [
        [
            tag("a", name, href=f"#run-{place + 1}"),
            f"{one.steps:,}" if one.finished else f"{one.steps:,}, unfinished",
            *(_figure(point) for column in columns for point in (one.best(column), one.last(column))),
        ]
        for place, (one, name) in enumerate(zip(histories, names, strict=True))
    ]
    return table(["run", "steps", *titles], rows, "Figures of the log, each with its step.")


def settings_that_differ(histories: Sequence[History], names: Sequence[str]) -> Html:
    """Settings that are not the same in all runs, with the value of each run; where data lie aside."""
    values = [{**settings(one), "fingerprint of the data": data_fingerprint(one)} for one in histories]
    keys = [key for key in dict.fromkeys(key for one in values for key in one) if key not in _NOT_COMPARED]
    rows = [[key, *(one.get(key) for one in values)] for key in keys]
    differing = [[key, *map(_cut, row)] for key, *row in rows if any(value != row[0] for value in row)]
    if not differing:
        return tag("p", "The runs differ in no setting.", class_="note")
    return table(["setting", *names], differing, "Settings in which the runs differ.")


def _why_unvalidated(history: History) -> str:
    if history.value("data", "validate") in (0, [], ""):
        return "The run has no validation images (data.validate is 0), so it has no validation figures."
    return "The run has not been validated yet, so it has no validation figures."


def _point(point: tuple[int, float] | None) -> list[object]:
    return ["–", "–"] if point is None else [number(point[1]), f"{point[0]:,}"]


def _figure(point: tuple[int, float] | None) -> list[object]:
    return ["–"] if point is None else [number(point[1]), tag("small", f" {point[0]:,}")]


def _cut(value: object) -> object:
    """A setting in little room, whole where the pointer rests on it."""
    text = "–" if value is None else str(value)
    return text if len(text) <= _LONGEST else tag("span", f"{text[: _LONGEST - 1]}…", title=text)


def _wide(lines: Sequence[Line]) -> bool:
    values = [value for line in lines for _, value in line.points]
    return bool(values) and min(values) > 0 and max(values) > _WIDE * min(values)
