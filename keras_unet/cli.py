"""The command `keras-unet`. TensorFlow is loaded by the subcommand that needs it, so that `--help` is instant."""

import math
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keras_unet import __version__

app = typer.Typer(
    name="keras-unet",
    help="U-Net for TensorFlow: train on few images, segment images of any size, export for TensorFlow Serving.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _finite(value: float | None) -> float | None:
    """Refuse NaN and infinity, which bounds let through."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"Expected a finite number. Received {value}.")
    return value


Source = Annotated[
    str,
    typer.Argument(
        help="Preset (folder, synthetic, isbi2012, isbi2012-small, dic-hela, dic-hela-small, phc, dsb2018-small) or "
        "TOML file."
    ),
]
Images = Annotated[Path | None, typer.Option(help="Folder of the images; shorthand for --set data.path=…")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value, as often as needed.", metavar="KEY=VALUE")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the output folder holds.")]
Tile = Annotated[int | None, typer.Option(help="Input tile in pixels; the default suits the memory at hand.", min=1)]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Foreground probability of an object; by default the one validated in training or tuned.",
        min=0,
        max=1,
        callback=_finite,
    ),
]
MinSize = Annotated[int | None, typer.Option(help="Smallest object in pixels; by default 0, or as tuned.", min=0)]
Watershed = Annotated[
    bool | None,
    typer.Option(
        "--watershed/--components",
        help="Part objects that hang together, or do not; by default components, or as tuned.",
        show_default=False,
    ),
]
Averaging = Annotated[
    Literal["none", "flips", "rotations", "square", "rotations7"],
    typer.Option(
        "--averaging",
        "--tta",
        help="Test-time averaging; the square's symmetries are eight, rotations7 turns whole images by 360/7 degrees.",
    ),
]
ModelPath = Annotated[Path, typer.Argument(help="A run folder, a .keras file or an exported model.", metavar="MODEL")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"keras-unet {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """U-Net for TensorFlow: train on few images, segment images of any size, export for TensorFlow Serving."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, other cells.", min=0)] = 0,
    steps: Annotated[int | None, typer.Option(help="Training steps; fewer for a quick look.", min=1)] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train on generated touching cells, export, segment a larger unseen image, count its cells."""
    _import_tensorflow()
    from keras_unet.commands.demo import run_demo

    run_demo(out, seed=seed, steps=steps, overwrite=overwrite)


@app.command()
def train(
    config: Source,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; the same command resumes an unfinished run.", show_default=False)
    ] = None,
    data: Images = None,
    changes: Changes = None,
    overwrite: Overwrite = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Train nothing: print what share of a step the input costs.")
    ] = False,
) -> None:
    """Train a U-Net, validate it, keep the best weights."""
    if out is None and not profile:
        raise typer.BadParameter("Expected --out, the run folder, or --profile. Received neither.")
    if overwrite and profile:
        raise typer.BadParameter("Expected --overwrite without --profile, which writes nothing. Received both.")
    settings = _load_config(config, _overrides(data, changes))
    _import_tensorflow()
    from keras_unet import training

    if out is None or profile:
        training.profile(settings)
        return
    training.run(settings, out, overwrite=overwrite)


@app.command("find-lr")
def find_lr(
    config: Source,
    data: Images = None,
    out: Annotated[Path, typer.Option(help="Folder for the table and the picture.")] = Path("lr"),
    lowest: Annotated[float, typer.Option(help="Learning rate of the first step.", callback=_finite)] = 1e-6,
    highest: Annotated[float, typer.Option(help="Learning rate after the last step.", callback=_finite)] = 10.0,
    steps: Annotated[int, typer.Option(help="Steps from the one to the other.", min=2)] = 140,
    changes: Changes = None,
) -> None:
    """Suggest a learning rate: train a fresh net with a rising one until its loss breaks."""
    if not 0 < lowest < highest:
        raise typer.BadParameter(f"Expected 0 < --lowest < --highest. Received {lowest:g} and {highest:g}.")
    settings = _load_config(config, _overrides(data, changes))
    _import_tensorflow()
    from keras_unet.commands import find_lr as command

    command.find_lr(settings, out, lowest=lowest, highest=highest, steps=steps)


@app.command()
def preview(
    config: Source,
    data: Images = None,
    out: Annotated[Path, typer.Option(help="The picture, a PNG file.")] = Path("preview.png"),
    tiles: Annotated[int, typer.Option(help="Number of tiles.", min=1, max=100)] = 4,
    changes: Changes = None,
) -> None:
    """Draw the first tiles that training would see: augmented image, label and weight of each."""
    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"Expected a file name in .png for --out. Received {str(out)!r}.")
    settings = _load_config(config, _overrides(data, changes))
    _import_tensorflow()
    from keras_unet.commands import preview as command

    command.preview(settings, out, tiles)


@app.command()
def shard(
    config: Annotated[str, typer.Argument(help="Preset or TOML file, as for train.")],
    out: Annotated[str, typer.Option(help="Folder for the shards; gs://… and the like will do.")],
    data: Images = None,
    changes: Changes = None,
    shard_megabytes: Annotated[int, typer.Option(help="Size of a shard.", min=1)] = 256,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the shards that the folder holds.")] = False,
) -> None:
    """Write the images of a configuration as TFRecord shards, for training on data larger than memory."""
    settings = _load_config(config, _overrides(data, changes))
    _import_tensorflow()
    from keras_unet.commands import shard as command

    typer.echo(f"Wrote {command.shard(settings, out, shard_megabytes=shard_megabytes, overwrite=overwrite)}")
    typer.echo(f"Train on them: {command.training_command(config, settings, out)} --out …")


@app.command("data-worker")
def data_worker(
    address: Annotated[
        str, typer.Argument(help="How trainers reach this machine; the port above is taken too.", metavar="HOST:PORT")
    ],
) -> None:
    """Make batches for trainers that name this machine in training.data_service."""
    from keras_unet.addresses import SCHEME, check_address

    with _wrong_use():
        check_address(f"{SCHEME}{address}")
    _import_tensorflow()
    from keras_unet.commands import data_worker as command

    command.serve(address)


@app.command()
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            help="A run folder, a .keras file or an exported model; with --truth results: folder, stack or 'pattern'.",
            metavar="MODEL",
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Labelled images; by default the run's validation set.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="How to read --data: folder (the default), isbi2012, cell_tracking, dsb2018, retina, axondeepseg, "
            "drosophila_vnc, kvasir or shards."
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
    tile: Tile = None,
    averaging: Averaging = "none",
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write figures of each image and of all as a table.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures of each image and of all.")] = None,
) -> None:
    """Print figures of a model or of results: IoU, Dice, errors of EM stacks, touching objects told apart, and more."""
    names = None if metrics is None else _metric_names(metrics)
    reading: dict[str, Any] = {"label_kind": label_kind, "ignore_label": ignore_label}
    objects: dict[str, Any] = {"threshold": threshold, "min_size": min_size, "watershed": watershed}
    if truth is not None:
        given = {"--data": data, "--dataset": dataset, "--tile": tile, "--averaging": averaging.replace("none", "")}
        _check_comparison([option for option, value in given.items() if value], label_kind, result_kind)
        from keras_unet.commands import evaluation

        judged, scope = evaluation.judge_results(model, truth, objects, result_kind=result_kind, **reading)
    else:
        if result_kind is not None:
            raise typer.BadParameter("Expected --truth with --result-kind. Received none.")
        options = _reading_options(data, dataset, label_kind, ignore_label)
        _import_tensorflow()
        from keras_unet.commands import evaluation
        from keras_unet.training.evaluation import validation_data

        images = validation_data(model) if data is None else _load(dataset or "folder", data, options)
        judged, scope = evaluation.judge_model(model, images, objects, names, tile, averaging)
    typer.echo(evaluation.report(judged, scope, names, csv_file, json_file))


@app.command()
def tune(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN")],
    tile: Tile = None,
    averaging: Averaging = "none",
) -> None:
    """Choose threshold, smallest size and components or watershed on a run's validation images, by SEG."""
    _import_tensorflow()
    from keras_unet.commands.evaluation import tune_run

    typer.echo(tune_run(run, tile, averaging))


@app.command()
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
    _import_tensorflow()
    from keras_unet.commands.report.page import write_report

    for sentence in write_report(runs, out, data=data, worst=worst, overwrite=overwrite):
        typer.echo(sentence)
    typer.echo(f"Report: {out}")


@app.command()
def predict(
    model: ModelPath,
    images: Annotated[list[Path], typer.Argument(help="Image files, stacks, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    instances: Annotated[bool, typer.Option("--instances", help="Number the objects too.")] = False,
    threshold: Threshold = None,
    min_size: MinSize = None,
    watershed: Watershed = None,
    tile: Tile = None,
    averaging: Averaging = "none",
    stream: Annotated[
        bool, typer.Option("--stream", help="Part by part, for images larger than memory; resumes what was stopped.")
    ] = False,
    output: Annotated[
        Literal["classes", "probabilities"] | None, typer.Option(help="With --stream; classes by default.")
    ] = None,
    file_format: Annotated[
        Literal["tif", "zarr", "isbi", "ctc"] | None,
        typer.Option(
            "--format",
            help="With --stream tif (the default) or zarr; without, results for a challenge: isbi, one stack of cell "
            "probabilities, or ctc, a mask of numbered objects per frame.",
        ),
    ] = None,
    pyramid_level: Annotated[
        int | None, typer.Option("--level", help="With --stream: level of a pyramid, 0 the largest.", min=0)
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="With --stream: replace results that exist; by default left as they are."),
    ] = False,
) -> None:
    """Segment images of any size: labels, probabilities and a coloured overlay for each; one of them with --stream."""
    challenge = file_format if file_format in ("isbi", "ctc") else None
    _check_challenge_options(challenge, stream, instances)
    instances = instances or challenge == "ctc"
    _check_object_options(instances, threshold, min_size, watershed)
    streamed = None if challenge else file_format
    given = {"--output": output, "--format": streamed, "--level": pyramid_level, "--overwrite": overwrite or None}
    _check_streaming_options(stream, instances, [option for option, value in given.items() if value is not None])
    _import_tensorflow()
    if stream:
        from keras_unet.commands.streaming import stream_files

        results = stream_files(
            model,
            images,
            out,
            output=output or "classes",
            file_format=streamed or "tif",
            tile=tile,
            averaging=averaging,
            level=pyramid_level or 0,
            overwrite=overwrite,
        )
        for path in results:
            typer.echo(path)
        return
    from keras_unet.commands.prediction import open_model, predict_files, validated_instances

    net = open_model(model, tile, averaging)
    objects: dict[str, Any] = {"threshold": threshold, "min_size": min_size, "watershed": watershed}
    settings = validated_instances(model).but(**objects) if instances else None
    _tell_objects(settings)
    if challenge:
        from keras_unet.commands.challenge_results import write_ctc, write_isbi

        written = write_isbi(net, images, out) if settings is None else write_ctc(net, images, out, settings)
    else:
        written = predict_files(net, images, out, settings)
    for path in written:
        typer.echo(path)


@app.command()
def segment(
    url: Annotated[str, typer.Argument(help="The server: http://host:8501 (REST) or grpc://host:8500.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, stacks, or folders of them.")],
    model: Annotated[str, typer.Option(help="Name of the model on the server.")],
    version: Annotated[str | None, typer.Option(help="Version number or label; the newest by default.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    instances: Annotated[bool, typer.Option("--instances", help="Number the objects too.")] = False,
    threshold: Threshold = None,
    min_size: MinSize = None,
    watershed: Watershed = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.001, callback=_finite)] = 60.0,
    retries: Annotated[int, typer.Option(help="Further attempts if the server is busy or away.", min=0)] = 4,
    concurrency: Annotated[int, typer.Option(help="The most requests at a time.", min=1)] = 4,
    max_message_bytes: Annotated[
        int | None,
        typer.Option(help="The longest request or answer; 4 MiB by default, 64 MiB for raw pixels over REST.", min=1),
    ] = None,
    headers: Annotated[
        list[str] | None, typer.Option("--header", help="Sent with every request.", metavar="NAME:VALUE")
    ] = None,
) -> None:
    """Segment images on a server: labels, foreground probabilities and a coloured overlay for each."""
    _check_object_options(instances, threshold, min_size, watershed)
    with _wrong_use():
        sent = dict(_header(header) for header in headers or [])
    from keras_unet.commands.segment import segment_files, validated_instances
    from keras_unet.export.client import Client

    chosen = int(version) if version is not None and version.isdecimal() else version
    with Client(
        url,
        model,
        version=chosen,
        timeout=timeout,
        retries=retries,
        concurrency=concurrency,
        max_message_bytes=max_message_bytes,
        headers=sent,
    ) as client:
        objects: dict[str, Any] = {"threshold": threshold, "min_size": min_size, "watershed": watershed}
        settings = validated_instances(client).but(**objects) if instances else None
        _tell_objects(settings)
        for path in segment_files(client, images, out, settings):
            typer.echo(path)


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="A run folder or a .keras file.")],
    out: Annotated[Path, typer.Argument(help="Model folder of the server; a version folder is made in it.")],
    version: Annotated[int | None, typer.Option(help="Version number; the next one by default.", min=1)] = None,
    tile: Tile = None,
    dtype: Annotated[
        Literal["float32", "uint8", "uint16", "int16"], typer.Option(help="Pixel type of requests.")
    ] = "float32",
    precision: Annotated[
        Literal["float32", "bfloat16"] | None, typer.Option(help="In which layers compute; by default as in training.")
    ] = None,
    averaging: Averaging = "none",
    max_pixels: Annotated[int, typer.Option(help="The most pixels of an encoded image.", min=1)] = 2**26,
    warm_up: Annotated[
        list[str] | None,
        typer.Option(help="Size of an image that the server warms up with; a tile by default.", metavar="HEIGHTxWIDTH"),
    ] = None,
) -> None:
    """Write a SavedModel that TensorFlow Serving segments images of any size with."""
    with _wrong_use():
        sizes = [_height_and_width(size) for size in warm_up] if warm_up else None
    _import_tensorflow()
    from keras_unet import export as room
    from keras_unet.commands.prediction import export_details, load_keras, proof_in_words

    options: dict[str, Any] = {"precision": precision, "averaging": averaging, "max_pixels": max_pixels}
    options["warm_up"] = sizes
    options |= export_details(model)
    path = room.save(load_keras(model), out, version=version, tile=tile, input_dtype=dtype, **options)
    typer.echo(f"Exported to {path}")
    typer.echo(proof_in_words(room.read_description(path)))
    typer.echo("Serve it with TensorFlow Serving:")
    base = out.resolve()
    mount, name = shlex.quote(f"{base}:/models/{base.name}"), shlex.quote(f"MODEL_NAME={base.name}")
    typer.echo(f"  docker run -p 8501:8501 -v {mount} -e {name} tensorflow/serving")


@app.command("weight-map")
def weight_map(
    labels: Annotated[list[Path], typer.Argument(help="Label images: instance ids, or classes with --components.")],
    out: Annotated[Path, typer.Option(help="Folder for the maps.")] = Path("weight-maps"),
    w0: Annotated[float, typer.Option(help="Height of the border term.", min=0, callback=_finite)] = 10.0,
    sigma: Annotated[float, typer.Option(help="Width of the border term in pixels.", min=1e-6, callback=_finite)] = 5.0,
    components: Annotated[
        bool, typer.Option("--components", help="Objects are the connected components of the labels.")
    ] = False,
) -> None:
    """Write the weight map of equation 2 (float32 TIFF) of label images, and a picture of each."""
    from keras_unet.commands.prediction import weight_map_files

    for path in weight_map_files(labels, out, w0=w0, sigma=sigma, components=components):
        typer.echo(path)


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="ronneberger2015, a run folder or a .keras file.")] = "ronneberger2015",
    size: Annotated[int | None, typer.Option(help="Input tile in pixels to count multiply-adds for.", min=1)] = None,
) -> None:
    """Print layers, parameters, multiply-adds and legal sizes of a net; of a run first how far it is."""
    _import_tensorflow()
    from keras_unet.training.run_folder import RunFolder

    run = RunFolder(Path(model))
    if run.is_ours():
        from keras_unet.training.summary import summarize

        typer.echo(summarize(run))
        if not run.model.exists():
            return
        typer.echo()
    from keras_unet.commands.prediction import load_keras
    from keras_unet.complexity import describe
    from keras_unet.unet import PRESETS, UNet

    net = UNet.from_preset(model) if model in PRESETS else load_keras(Path(model))
    typer.echo(describe(net, size, size))


def _import_tensorflow() -> None:
    """Import TensorFlow without its start-up messages, which no setting silences; an error is shown with them."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")  # advice on retracing is for programmers
            tf.config.list_physical_devices()  # looks for a GPU and complains where there is none
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextmanager
def _wrong_use() -> Iterator[None]:
    """Where an argument that is refused is the command line's: exit status 2."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _check_object_options(
    instances: bool, threshold: float | None, min_size: int | None, watershed: bool | None
) -> None:
    method = "--watershed" if watershed else "--components"
    options = {"--threshold": threshold, "--min-size": min_size, method: watershed}
    given = [option for option, value in options.items() if value is not None]
    if given and not instances:
        raise typer.BadParameter(
            f"Expected --instances with {given[0]}, which is about objects. Received {given[0]} alone."
        )


def _metric_names(text: str) -> list[str]:
    from keras_unet.figures import check_metrics

    names = [name.strip() for name in text.split(",")]
    with _wrong_use():
        check_metrics(names)
    return names


def _check_comparison(given: list[str], label_kind: str | None, result_kind: str | None) -> None:
    if given:
        raise typer.BadParameter(f"Expected --truth without {given[0]}, which is for models. Received both.")
    from keras_unet.commands.comparison import RESULT_KINDS
    from keras_unet.datasets.labels import check_label_kind

    with _wrong_use():
        if label_kind is not None:
            check_label_kind(label_kind)
        if result_kind not in (None, *RESULT_KINDS):
            raise ValueError(f"Expected --result-kind {' or '.join(RESULT_KINDS)}. Received {result_kind!r}.")


def _tell_objects(settings: Any) -> None:
    if settings is not None:
        typer.echo(f"Objects are {settings.in_words()}.", err=True)


def _check_streaming_options(stream: bool, instances: bool, given: list[str]) -> None:
    if stream and instances:
        raise typer.BadParameter("Expected classes or probabilities with --stream. Received --instances.")
    if given and not stream:
        raise typer.BadParameter(f"Expected --stream with {given[0]}. Received {given[0]} alone.")


def _check_challenge_options(challenge: str | None, stream: bool, instances: bool) -> None:
    if challenge and stream:
        raise typer.BadParameter(f"Expected --format {challenge} without --stream. Received both.")
    if challenge == "isbi" and instances:
        raise typer.BadParameter(
            "Expected --format isbi, a stack of probabilities, without --instances. Received both."
        )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (name.strip() and colon):
        raise ValueError(f"Expected a header NAME:VALUE. Received {text!r}.")
    return name.strip(), value.strip()


def _height_and_width(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise ValueError(f"Expected HEIGHTxWIDTH in pixels, such as 512x512. Received {text!r}.")
    return int(height), int(width)


def _overrides(data: Path | None, changes: list[str] | None) -> list[str]:
    return [*(changes or []), *([] if data is None else [f"data.path={data}"])]


def _load_config(source: str, overrides: list[str]) -> Any:
    from keras_unet.training import ConfigError, load_config

    try:
        return load_config(source, overrides)
    except ConfigError:
        load_config(source)  # what is wrong in the file itself is no wrong use
        with _wrong_use():
            return load_config(source, overrides)


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
    from keras_unet.datasets.labels import check_label_kind

    with _wrong_use():
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


def main() -> None:
    """Entry point: a user's mistake ends in one sentence and exit status 1, wrong use in 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app()
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None or os.environ.get("KERAS_UNET_TRACEBACK"):
            raise
        print(f"keras-unet: {sentence}", file=sys.stderr)
        sys.exit(1)


def _sentence(error: Exception) -> str | None:
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
