"""Subcommands that segment images, or let a server do it: predict, segment, export."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keras_unet.cli.mistakes import wrong_use
from keras_unet.cli.option_types import (
    Averaging,
    Depth,
    Expand,
    MinSize,
    ModelPath,
    OfClass,
    SeedThreshold,
    Threshold,
    Tile,
    Watershed,
    finite,
    objects_by,
)
from keras_unet.cli.tensorflow_start import import_tensorflow


def predict(
    model: ModelPath,
    images: Annotated[list[Path], typer.Argument(help="Image files, stacks, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    instances: Annotated[bool, typer.Option("--instances", help="Number the objects too.")] = False,
    threshold: Threshold = None,
    min_size: MinSize = None,
    watershed: Watershed = None,
    depth: Depth = None,
    seed_threshold: SeedThreshold = None,
    expand: Expand = None,
    of_class: OfClass = None,
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
    merge_threshold: Annotated[
        float | None,
        typer.Option(
            help="With --format isbi: regions with less mean boundary probability between them are merged, and lines "
            "drawn between the others; by default as tuned, or probabilities alone.",
            min=0,
            max=1,
            callback=finite,
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
    _check_challenge_options(challenge, stream, instances, merge_threshold)
    if of_class is not None and challenge:
        raise typer.BadParameter(f"Expected --format {challenge}, of two classes, without --class. Received both.")
    if of_class is not None and not instances:
        raise typer.BadParameter("Expected --instances with --class. Received --class alone.")
    instances = instances or challenge == "ctc"
    objects = _checked_objects(instances, threshold, min_size, watershed, depth, seed_threshold, expand)
    streamed = None if challenge else file_format
    given = {"--output": output, "--format": streamed, "--level": pyramid_level, "--overwrite": overwrite or None}
    _check_streaming_options(stream, instances, [option for option, value in given.items() if value is not None])
    import_tensorflow()
    if stream:
        from keras_unet.commands.stream import stream_files

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
    from keras_unet.commands.open_models import class_number, open_model, validated_instances, validated_merging
    from keras_unet.commands.predict import predict_files

    number = None if of_class is None else class_number(model, of_class)

    net = open_model(model, tile, averaging)
    settings = validated_instances(model, number, **objects) if instances else None
    _tell_objects(settings)
    if challenge:
        from keras_unet.commands.challenge_results import write_ctc, write_isbi

        merging = validated_merging(model) if merge_threshold is None else merge_threshold
        written = write_isbi(net, images, out, merging) if settings is None else write_ctc(net, images, out, settings)
    else:
        written = predict_files(net, images, out, settings, number)
    for path in written:
        typer.echo(path)


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
    depth: Depth = None,
    seed_threshold: SeedThreshold = None,
    expand: Expand = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.001, callback=finite)] = 60.0,
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
    objects = _checked_objects(instances, threshold, min_size, watershed, depth, seed_threshold, expand)
    with wrong_use():
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
        settings = validated_instances(client, **objects) if instances else None
        _tell_objects(settings)
        for path in segment_files(client, images, out, settings):
            typer.echo(path)


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
    with wrong_use():
        sizes = [_height_and_width(size) for size in warm_up] if warm_up else None
    import_tensorflow()
    from keras_unet import export as room
    from keras_unet.commands.open_models import export_details, proof_in_words
    from keras_unet.models.unet import load_model

    options: dict[str, Any] = {"precision": precision, "averaging": averaging, "max_pixels": max_pixels}
    options["warm_up"] = sizes
    options |= export_details(model)
    path = room.save(load_model(model), out, version=version, tile=tile, input_dtype=dtype, **options)
    typer.echo(f"Exported to {path}")
    typer.echo(proof_in_words(room.read_description(path)))
    typer.echo("Serve it with TensorFlow Serving:")
    base = out.resolve()
    mount, name = shlex.quote(f"{base}:/models/{base.name}"), shlex.quote(f"MODEL_NAME={base.name}")
    typer.echo(f"  docker run -p 8501:8501 -v {mount} -e {name} tensorflow/serving")


def _checked_objects(
    instances: bool,
    threshold: float | None,
    min_size: int | None,
    watershed: bool | None,
    depth: float | None,
    seed_threshold: float | None,
    expand: int | None,
) -> dict[str, Any]:
    """Arguments of `InstanceSettings`; refused without --instances."""
    method = "--watershed" if watershed else "--components"
    options = {"--threshold": threshold, "--min-size": min_size, method: watershed, "--depth": depth}
    options |= {"--seed-threshold": seed_threshold, "--expand": expand}
    given = [option for option, value in options.items() if value is not None]
    if given and not instances:
        raise typer.BadParameter(
            f"Expected --instances with {given[0]}, which is about objects. Received {given[0]} alone."
        )
    return objects_by(threshold, min_size, watershed, depth, seed_threshold, expand)


def _tell_objects(settings: Any) -> None:
    if settings is not None:
        typer.echo(f"Objects are {settings.in_words()}.", err=True)


def _check_streaming_options(stream: bool, instances: bool, given: list[str]) -> None:
    if stream and instances:
        raise typer.BadParameter("Expected classes or probabilities with --stream. Received --instances.")
    if given and not stream:
        raise typer.BadParameter(f"Expected --stream with {given[0]}. Received {given[0]} alone.")


def _check_challenge_options(
    challenge: str | None, stream: bool, instances: bool, merge_threshold: float | None
) -> None:
    if merge_threshold is not None and challenge != "isbi":
        raise typer.BadParameter("Expected --format isbi with --merge-threshold. Received --merge-threshold alone.")
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
