"""Subcommands to look at what is there: weight-map, info."""

from pathlib import Path
from typing import Annotated

import typer

from keras_unet.cli.option_types import finite
from keras_unet.cli.tensorflow_start import import_tensorflow


def weight_map(
    labels: Annotated[list[Path], typer.Argument(help="Label images: instance ids, or classes with --components.")],
    out: Annotated[Path, typer.Option(help="Folder for the maps.")] = Path("weight-maps"),
    w0: Annotated[float, typer.Option(help="Height of the border term.", min=0, callback=finite)] = 10.0,
    sigma: Annotated[float, typer.Option(help="Width of the border term in pixels.", min=1e-6, callback=finite)] = 5.0,
    components: Annotated[
        bool, typer.Option("--components", help="Objects are the connected components of the labels.")
    ] = False,
) -> None:
    """Write the weight map of equation 2 (float32 TIFF) of label images, and a picture of each."""
    from keras_unet.commands.weight_map import weight_map_files

    for path in weight_map_files(labels, out, w0=w0, sigma=sigma, components=components):
        typer.echo(path)


def info(
    model: Annotated[str, typer.Argument(help="ronneberger2015, a run folder or a .keras file.")] = "ronneberger2015",
    size: Annotated[int | None, typer.Option(help="Input tile in pixels to count multiply-adds for.", min=1)] = None,
) -> None:
    """Print layers, parameters, multiply-adds and legal sizes of a net; of a run first how far it is."""
    import_tensorflow()
    from keras_unet.training.run_folder import RunFolder

    run = RunFolder(Path(model))
    if run.is_ours():
        from keras_unet.training.run_summary import summarize

        typer.echo(summarize(run))
        if not run.model.exists():
            return
        typer.echo()
    from keras_unet.models.complexity import describe
    from keras_unet.models.unet import PRESETS, UNet, load_model

    net = UNet.from_preset(model) if model in PRESETS else load_model(model)
    typer.echo(describe(net, size, size))
