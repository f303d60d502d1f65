"""Subcommands that judge: evaluate, tune, report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_unet.cli.mistakes import wrong_use
from keras_unet.cli.option_types import (
    Averaging,
    Depth,
    Expand,
    MinSize,
    OfClass,
    SeedThreshold,
    Threshold,
    Tile,
    Watershed,
    objects_by,
)
from keras_unet.cli.tensorflow_start import import_tensorflow
from keras_unet.datasets import NAMES


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            help="A run folder, a folder of folds, a .keras file or an exported model; with --truth results: folder, "
            "stack or 'pattern'.",
            metavar="MODEL",
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="Labelled images; by default the run's validation set, of folds every image.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help=f"How to read --data: {', '.join(name for name in NAMES if name != 'synthetic')}; by default folder."
        ),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Labels of the results that stand in place of MODEL; loads no TensorFlow.")
    ] = None,
    label_kind: Annotated[
        str | None,
        typer.Option(
            help="Labels in --data or --truth: binary, classes or instances; by default told from their values."
        ),
    ] = None,
    ignore_label: Annotated[int | None, typer.Option(help="Label of the pixels to leave out.")] = None,
    result_kind: Annotated[
        str | None,
        typer.Option(help="With --truth: labels or probabilities; by default floats are probabilities."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Names with commas between, or overlap, em, cells, boundary, salient.", metavar="NAMES"),
    ] = None,
    threshold: Threshold = None,
    min_size: MinSize = None,
    watershed: Watershed = None,
    depth: Depth = None,
    seed_threshold: SeedThreshold = None,
    expand: Expand = None,
    tile: Tile = None,
    averaging: Averaging = "none",
    of_class: OfClass = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write figures of each image and of all as a table.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures of each image and of all.")] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a PNG of each image: image (not with --truth), truth, probability, objects or errors.",
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Print figures of a model or of results: IoU, Dice, errors of EM stacks, touching objects told apart, and more."""
    names = None if metrics is None else _metric_names(metrics)
    _check_targets(csv_file, json_file, pictures)
    if pictures is not None and truth is not None and pictures.resolve() in (model.resolve(), truth.resolve()):
        raise typer.BadParameter(f"Expected --pictures elsewhere than results and truth. Received {str(pictures)!r}.")
    reading: dict[str, Any] = {"label_kind": label_kind, "ignore_label": ignore_label}
    objects = objects_by(threshold, min_size, watershed, depth, seed_threshold, expand)
    if truth is not None:
        given = {
            "--data": data,
            "--dataset": dataset,
            "--tile": tile,
            "--averaging": averaging.replace("none", ""),
            "--class": of_class,
        }
        _check_comparison([option for option, value in given.items() if value], label_kind, result_kind)
        from keras_unet.commands import evaluate as command

        judged, scope = command.judge_results(model, truth, objects, result_kind=result_kind, **reading)
        pixels = None
    else:
        if result_kind is not None:
            raise typer.BadParameter("Expected --truth with --result-kind. Received none.")
        options = _reading_options(data, dataset, label_kind, ignore_label)
        import_tensorflow()
        from keras_unet.commands import evaluate as command
        from keras_unet.commands.open_models import class_number
        from keras_unet.training.evaluation import validation_sets

        number = None if of_class is None else class_number(model, of_class)
        sets = validation_sets(model) if data is None else [(model, _load(dataset or "folder", data, options))]
        for remark in (remark for one in sets for remark in command.remarks(*one)):
            typer.echo(remark)
        judged, scope = command.judge_model(model, sets, objects, names, tile, averaging, number)
        pixels = (sample.image for _, images in sets for sample in images)
    if pictures is not None:
        from keras_unet.visualization.result_panels import write_pictures

        drawn = write_pictures(pictures, judged, scope, pixels)
        typer.echo(f"{len(drawn)} picture{'s' if len(drawn) > 1 else ''} in {pictures}.")
    typer.echo(command.report(judged, scope, names, csv_file, json_file))


def tune(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run, or of folds.", metavar="RUN")],
    tile: Tile = None,
    averaging: Averaging = "none",
    of_class: OfClass = None,
) -> None:
    """Choose how objects are found by (SEG + DET) / 2, or of EM slices how regions are merged, by Rand error."""
    import_tensorflow()
    from keras_unet.commands.evaluate import tune_run
    from keras_unet.commands.open_models import class_number

    number = None if of_class is None else class_number(run, of_class)
    typer.echo(tune_run(run, tile, averaging, number))


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, finished or not.", metavar="RUN")],
    out: Annotated[Path, typer.Option(help="The page, an HTML file.")] = Path("report.html"),
    data: Annotated[
        Path | None, typer.Option(help="Where the data lie now; by default where each run's configuration says.")
    ] = None,
    worst: Annotated[int, typer.Option(help="Validation images to show of each run, the worst first.", min=0)] = 4,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is no report; an earlier report always is.")
    ] = False,
) -> None:
    """Write one HTML page on runs: settings, curves, figures of each validation image, pictures of the worst."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"Expected a file name in .html for --out. Received {str(out)!r}.")
    import_tensorflow()
    from keras_unet.commands.report.page import write_report

    for sentence in write_report(runs, out, data=data, worst=worst, overwrite=overwrite):
        typer.echo(sentence)
    typer.echo(f"Report: {out}")


def _check_targets(csv_file: Path | None, json_file: Path | None, pictures: Path | None) -> None:
    """Refuse what cannot be written before anything is judged; a table never takes the place of an image."""
    from keras_unet.utils.atomic_files import check_writable

    for option, path, ending in (("--csv", csv_file, ".csv"), ("--json", json_file, ".json")):
        if path is not None and path.suffix.lower() != ending:
            raise typer.BadParameter(f"Expected a file name in {ending} for {option}. Received {str(path)!r}.")
        if path is not None:
            check_writable(path)
    if pictures is not None:
        check_writable(pictures, folder=True)


def _metric_names(text: str) -> list[str]:
    from keras_unet.metrics.computed_metrics import check_metrics

    names = [name.strip() for name in text.split(",")]
    with wrong_use():
        check_metrics(names)
    return names


def _check_comparison(given: list[str], label_kind: str | None, result_kind: str | None) -> None:
    if given:
        raise typer.BadParameter(f"Expected --truth without {given[0]}, which is for models. Received both.")
    from keras_unet.commands.comparison import RESULT_KINDS
    from keras_unet.datasets.label_interpretation import check_label_kind

    with wrong_use():
        if label_kind is not None:
            check_label_kind(label_kind)
        if result_kind not in (None, *RESULT_KINDS):
            raise ValueError(f"Expected --result-kind {' or '.join(RESULT_KINDS)}. Received {result_kind!r}.")


def _reading_options(
    data: Path | None, dataset: str | None, label_kind: str | None, ignore_label: int | None
) -> dict[str, Any]:
    """How `datasets.load` is to read --data; wrong use is refused before anything is read."""
    values = {"--dataset": dataset, "--label-kind": label_kind, "--ignore-label": ignore_label}
    given = [option for option, value in values.items() if value is not None]
    if data is None:
        if given:
            raise typer.BadParameter(f"Expected --data with {given[0]}, which says how to read it. Received none.")
        return {}
    from keras_unet import datasets
    from keras_unet.datasets.label_interpretation import check_label_kind

    with wrong_use():
        datasets.check_name(dataset or "folder", data)
        if label_kind is not None:
            check_label_kind(label_kind)
    of_folders = [option for option in given if option != "--dataset"]
    if of_folders and dataset not in (None, "folder"):
        raise typer.BadParameter(f"Expected {of_folders[0]} with the data set folder. Received it with {dataset}.")
    options = {"label_kind": label_kind, "ignore_label": ignore_label}
    return {name: value for name, value in options.items() if value is not None}


def _load(dataset: str, path: Path, options: dict[str, Any]) -> Any:
    from keras_unet import datasets

    data = datasets.load(dataset, path, **options)
    for note in data.notes:
        typer.echo(note)
    return data
