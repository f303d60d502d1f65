"""The command `keras-unet`. TensorFlow is loaded by the subcommand that needs it, so that `--help` is instant."""

import os
import sys
from typing import Annotated

import typer

from keras_unet import __version__
from keras_unet.cli import evaluate, info, predict, train
from keras_unet.cli.mistakes import sentence_of

app = typer.Typer(
    name="keras-unet",
    help="U-Net for TensorFlow: train on few images, segment images of any size, export for TensorFlow Serving.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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


# In the order of --help.
app.command("demo")(train.demo)
app.command("train")(train.train)
app.command("find-lr")(train.find_lr)
app.command("preview")(train.preview)
app.command("shard")(train.shard)
app.command("data-worker")(train.data_worker)
app.command("evaluate")(evaluate.evaluate)
app.command("tune")(evaluate.tune)
app.command("report")(evaluate.report)
app.command("predict")(predict.predict)
app.command("segment")(predict.segment)
app.command("export")(predict.export)
app.command("weight-map")(info.weight_map)
app.command("info")(info.info)


def main() -> None:
    """Entry point: a user's mistake ends in one sentence and exit status 1, wrong use in 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app(prog_name="keras-unet")
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None or os.environ.get("KERAS_UNET_TRACEBACK"):
            raise
        print(f"keras-unet: {sentence}", file=sys.stderr)
        sys.exit(1)
