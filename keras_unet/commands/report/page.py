"""`keras-unet report`: what runs are, their curves, figures and worst images, in one file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import keras_unet
from keras_unet.commands.report.cases import worst_cases
from keras_unet.commands.report.curves import charts_of, charts_of_all, figures_of, figures_of_all, settings_that_differ
from keras_unet.commands.report.evaluated_run import EvaluatedRun, Reader, judge_run
from keras_unet.commands.report.markup import Html, joined, number, table, tag
from keras_unet.commands.report.style import stylesheet
from keras_unet.commands.report.summary import head
from keras_unet.metrics.registry import Figures
from keras_unet.metrics.tables import flat, title
from keras_unet.training.history import History, read_history
from keras_unet.utils.atomic_files import write_text

_GENERATOR = '<meta name="generator" content="keras-unet report'
_HEAD_BYTES = 1000  # within which a report names itself
_ENDINGS = (".html", ".htm")
_ALL = "all images"
_NO_COLUMNS = ("images", "pixels", "threshold", "min_size", "watershed", "depth", "seed_threshold", "expand")
# Nothing is fetched and nothing runs, whatever a file of a run may hold.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_report(
    runs: Sequence[Path], out: Path, *, data: Path | None = None, worst: int = 4, overwrite: bool = False
) -> list[str]:
    """Write one page about one or several runs.

    Args:
        runs: Folders of runs, finished or not.
        out: The page, a new file ending in `.html` or an earlier report; its folder is made if need be.
        data: Where the data of the runs lie now; by default where their configurations say.
        worst: How many validation images of each run to show, the worst first.
        overwrite: Whether to replace a file that is no report.

    Returns:
        Sentences on what the page lacks.

    Raises:
        ConfigError: If a folder holds no run, or its configuration is no TOML.
        ValueError: If a run is given twice, or `out` is no name of a page.
        FileExistsError: If `out` is a folder, or a file that is no report, and `overwrite` does not hold.
        OSError: If a file of a run cannot be read or the page cannot be written.
    """
    check_target(out, overwrite)
    names = _names(runs)
    histories = [read_history(run) for run in runs]
    lacks: list[str] = []
    reader = Reader(data)
    sections = [
        tag(
            "section",
            tag("h2", name) if len(runs) > 1 else None,
            _of_one(history, name, reader, worst, lacks),
            id=f"run-{place + 1}",
        )
        for place, (history, name) in enumerate(zip(histories, names, strict=True))
    ]
    page = _page(names, _comparison(histories, names) if len(runs) > 1 else None, sections)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, page)
    return lacks


def check_target(out: Path, overwrite: bool) -> None:
    """Whether a report may be written there; nothing is changed.

    Raises:
        ValueError: If the name does not end as a page's.
        FileExistsError: If something else is there.
    """
    if out.suffix.lower() not in _ENDINGS:
        raise ValueError(f"Expected a file name that ends in .html for the report. Received {str(out)!r}.")
    if out.is_dir():
        raise FileExistsError(f"Expected a file for the report. Received {str(out)!r}, which is a folder.")
    if not overwrite and out.exists() and not _is_report(out):
        raise FileExistsError(
            f"Expected a new file or an earlier report. {str(out)!r} is something else; choose another, or --overwrite."
        )


def _is_report(path: Path) -> bool:
    with open(path, "rb") as file:
        return _GENERATOR.encode() in file.read(_HEAD_BYTES)


def _names(runs: Sequence[Path]) -> list[str]:
    """What runs are called: their folders' names where these differ, else the paths as given."""
    places = [run.resolve() for run in runs]
    twice = next((run for run, place in zip(runs, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise ValueError(f"Expected each run once. Received {str(twice)!r} several times.")
    short = [place.name for place in places]
    return short if len(set(short)) == len(short) else [str(run) for run in runs]


def _page(names: Sequence[str], comparison: Html | None, sections: Sequence[Html]) -> str:
    heading = names[0] if len(names) == 1 else f"{len(names)} runs"
    metas = [
        tag("meta", charset="utf-8"),
        tag("meta", name="generator", content=f"keras-unet report {keras_unet.__version__}"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
    ]
    top = tag("head", metas, tag("title", f"keras-unet report: {heading}"), tag("style", Html(stylesheet())))
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    foot = tag("footer", f"Written {written} by keras-unet {keras_unet.__version__}.")
    body = tag("body", tag("h1", heading), comparison, sections, foot)
    return f"<!DOCTYPE html>\n{tag('html', top, body, lang='en')}\n"


def _comparison(histories: Sequence[History], names: Sequence[str]) -> Html:
    parts = (figures_of_all, charts_of_all, settings_that_differ)
    return joined(*(part(histories, names) for part in parts))


def _of_one(history: History, name: str, reader: Reader, worst: int, lacks: list[str]) -> Html:
    """All that is told of one run; what could not be read of its data is added to `lacks`."""
    print(f"{name}: judging its validation images …")
    try:
        judgement = judge_run(history, reader)
        judged = _judged(judgement, worst)
    except (OSError, ValueError) as error:
        sentence = f"No figures or pictures of single images: {_in_one_line(error)}"
        lacks.append(f"{name}: {sentence}")
        judged = joined(tag("p", sentence, class_="warn"), _reported(history))
    text = history.folder.config.read_text(encoding="utf-8")
    return joined(
        head(history, _parameters(history)),
        tag("h3", "Curves"),
        charts_of(history),
        tag("h3", "Validation figures"),
        figures_of(history),
        judged,
        tag("details", tag("summary", "Configuration, resolved"), tag("pre", text)),
    )


def _judged(judgement: EvaluatedRun, worst: int) -> Html:
    """Figures of each image and of all of them, and the worst images."""
    known = flat(judgement.whole)
    columns = sorted((name for name in known if name not in _NO_COLUMNS), key=lambda name: name != judgement.deciding)
    names = [judgement.images[place].name for place in judgement.worst_first]
    rows = [(_ALL, judgement.whole), *((judgement.short(name), judgement.by_image[name]) for name in names)]
    deciding = title(judgement.deciding)
    objects = f"; objects are {judgement.scope.instances.in_words()}" if judgement.scope.kind == "instances" else ""
    first = f"{'Highest' if judgement.smaller_is_better else 'Lowest'} {deciding} first"
    caption = f"The kept model on whole images, as keras-unet evaluate judges it{objects}. {first}."
    changed = [tag("p", f"Changed since the run was validated: {name}.", class_="warn") for name in judgement.differing]
    return joined(
        changed,
        _figure_table(columns, rows, caption),
        [tag("h3", f"Worst images by {deciding}"), worst_cases(judgement, worst)] if worst else None,
    )


def _reported(history: History) -> Html | None:
    """What a finished run reported of all its validation images."""
    figures = history.report.get("validation")
    if not isinstance(figures, dict):
        return None
    columns = [name for name in flat(figures) if name not in _NO_COLUMNS]
    caption = "The kept model on all validation images, as judged at the end of the run."
    return _figure_table(columns, [(_ALL, figures)], caption)


def _figure_table(columns: Sequence[str], rows: Sequence[tuple[str, Figures]], caption: str) -> Html:
    cells = [[name, *(number(flat(one).get(column)) for column in columns)] for name, one in rows]
    return table(["image", *map(title, columns)], cells, caption)


def _parameters(history: History) -> int | None:
    """Of the net; an unfinished run's model is asked."""
    told = history.report.get("parameters")
    if isinstance(told, int):
        return told
    from keras_unet.models.unet import load_model

    try:
        return int(load_model(history.folder.path).count_params())
    except (OSError, ValueError):
        return None


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split())
