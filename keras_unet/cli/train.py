"""Subcommands around training: demo, train, find-lr, preview, shard, data-worker."""

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_unet.cli.mistakes import wrong_use
from keras_unet.cli.option_types import Changes, Images, Overwrite, Source, finite
from keras_unet.cli.tensorflow_start import import_tensorflow


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, other cells.", min=0)] = 0,
    steps: Annotated[int | None, typer.Option(help="Training steps; fewer for a quick look.", min=1)] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train on generated touching cells, export, segment a larger unseen image, count its cells."""
    import_tensorflow(trains=True)
    from keras_unet.commands.demo import run_demo

    run_demo(out, seed=seed, steps=steps, overwrite=overwrite)


def train(
    config: Source,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; the same command resumes an unfinished run.", show_default=False)
    ] = None,
    data: Images = None,
    changes: Changes = None,
    overwrite: Overwrite = False,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Cross-validation: train so many nets, each without one part of the images, into OUT/fold-1 …",
            min=2,
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Train nothing: print what share of a step the input costs.")
    ] = False,
) -> None:
    """Train a U-Net, validate it, keep the best weights."""
    if out is None and not profile:
        raise typer.BadParameter("Expected --out, the run folder, or --profile. Received neither.")
    if overwrite and profile:
        raise typer.BadParameter("Expected --overwrite without --profile, which writes nothing. Received both.")
    if folds is not None and profile:
        raise typer.BadParameter("Expected --folds without --profile, which trains nothing. Received both.")
    settings = _load_config(config, _overrides(data, changes))
    import_tensorflow(trains=True)
    from keras_unet import training

    if out is None or profile:
        training.profile(settings)
    elif folds is not None:
        training.run_folds(settings, out, folds, overwrite=overwrite)
    else:
        training.run(settings, out, overwrite=overwrite)


def find_lr(
    config: Source,
    data: Images = None,
    out: Annotated[Path, typer.Option(help="Folder for the table and the picture.")] = Path("lr"),
    lowest: Annotated[float, typer.Option(help="Learning rate of the first step.", callback=finite)] = 1e-6,
    highest: Annotated[float, typer.Option(help="Learning rate after the last step.", callback=finite)] = 10.0,
    steps: Annotated[int, typer.Option(help="Steps from the one to the other.", min=2)] = 140,
    changes: Changes = None,
) -> None:
    """Suggest a learning rate: train a fresh net with a rising one until its loss breaks."""
    if not 0 < lowest < highest:
        raise typer.BadParameter(f"Expected 0 < --lowest < --highest. Received {lowest:g} and {highest:g}.")
    settings = _load_config(config, _overrides(data, changes))
    import_tensorflow(trains=True)
    from keras_unet.commands import find_lr as command

    command.find_lr(settings, out, lowest=lowest, highest=highest, steps=steps)


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
    import_tensorflow()
    from keras_unet.commands import preview as command

    command.preview(settings, out, tiles)


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
    import_tensorflow()
    from keras_unet.commands import shard as command

    typer.echo(f"Wrote {command.shard(settings, out, shard_megabytes=shard_megabytes, overwrite=overwrite)}")
    typer.echo(f"Train on them, other --set as above: {command.training_command(config, settings, out)} --out …")


def data_worker(
    address: Annotated[
        str, typer.Argument(help="How trainers reach this machine; the port above is taken too.", metavar="HOST:PORT")
    ],
) -> None:
    """Make batches for trainers that name this machine in training.data_service."""
    from keras_unet.utils.addresses import SCHEME, check_address

    with wrong_use():
        check_address(f"{SCHEME}{address}")
    import_tensorflow()
    from keras_unet.commands import data_worker as command

    command.serve(address)


def _overrides(data: Path | None, changes: list[str] | None) -> list[str]:
    return [*(changes or []), *([] if data is None else [f"data.path={data}"])]


def _load_config(source: str, overrides: list[str]) -> Any:
    from keras_unet.training import ConfigError, load_config

    try:
        return load_config(source, overrides)
    except ConfigError:
        load_config(source)  # what is wrong in the file itself is no wrong use
        with wrong_use():
            return load_config(source, overrides)
