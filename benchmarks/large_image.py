"""Memory that an exported model takes for a large image, in a process without Python.

    python benchmarks/large_image.py

Exports a small net and has the C program of the tests segment noise, 16384 x 16384 pixels of one uint8 each. Printed
are the peaks of memory of that process and of one that segments a single tile. Goal: the difference is at most the
input, 2.2 times the output and one strip of tiles. The answer for the tile alone must be that of the large image, away
from the two sides where the tile ends and the image does not.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from consumers import c_program
from numpy.typing import NDArray

OUTPUTS = {"classes": "classes", "serving_default": "probabilities"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=16384, help="height and width of the image in pixels")
    parser.add_argument("--signature", choices=OUTPUTS, default="classes")
    parser.add_argument("--padding", choices=("valid", "same"), default="valid")
    parser.add_argument("--filters", type=int, default=4)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--tile", type=int, default=None, help="largest input tile in pixels")
    arguments = parser.parse_args()
    if reason := c_program.missing():
        sys.exit(f"Expected to compile a C program. Received: {reason}.")
    with tempfile.TemporaryDirectory() as scratch:
        measure(arguments, Path(scratch))


def measure(arguments: argparse.Namespace, scratch: Path) -> None:
    folder, tile, context = exported(arguments, scratch)
    program = c_program.build(scratch)
    image = np.random.default_rng(0).integers(0, 256, (1, arguments.size, arguments.size, 1), np.uint8)

    def segment(images: NDArray[np.uint8]) -> tuple[NDArray[Any], c_program.Run]:
        run = c_program.segment(program, folder, arguments.signature, [images], OUTPUTS[arguments.signature])
        if run.exit_status != 0:
            sys.exit(f"Expected an answer. Received {run.answers[0]}.")
        return run.answers[0], run

    side = tile - context
    one, one_tile = segment(image[:, :side, :side])
    start = time.perf_counter()
    answer, whole = segment(image)
    seconds = time.perf_counter() - start

    strip = tile * arguments.size * (1 + answer.itemsize * answer[0, 0, 0].size)
    allowed = image.nbytes + 2.2 * answer.nbytes + strip
    more = whole.peak - one_tile.peak
    print(
        f"{arguments.signature}, {arguments.size} x {arguments.size}, tiles of {tile}, {arguments.padding} padding, "
        f"{arguments.filters} filters, depth {arguments.depth}: {seconds:.0f} s\n"
        f"peak {whole.peak / 1e6:.0f} MB; one tile {one_tile.peak / 1e6:.0f} MB, of which {one_tile.loaded / 1e6:.0f} "
        f"before the first image\ninput {image.nbytes / 1e6:.0f} MB, output {answer.nbytes / 1e6:.0f} MB\n"
        f"more than one tile: {more / 1e6:.0f} MB = {more / (image.nbytes + answer.nbytes):.2f} x (input + output) = "
        f"input + {(more - image.nbytes) / answer.nbytes:.2f} x output (goal {allowed / 1e6:.0f} MB)"
    )
    check(one, answer, side - context)


def exported(arguments: argparse.Namespace, scratch: Path) -> tuple[Path, int, int]:
    """The version folder of an untrained net, its tile size and how much of that is context."""
    import keras

    from keras_unet import UNet, export
    from keras_unet.inference.tile_sizes import tile_context

    keras.utils.set_random_seed(0)
    shape = (None, None, 1)
    net = {"filters": arguments.filters, "depth": arguments.depth, "padding": arguments.padding}
    model = UNet(shape, **net, value_range=(0, 255))
    folder = export.save(model, scratch / "model", tile=arguments.tile, input_dtype="uint8", verify=False)
    return folder, export.read_description(folder)["tile"]["height"], tile_context(model.geometry)


def check(one: NDArray[Any], answer: NDArray[Any], inner: int) -> None:
    """Compare the answers' first `inner` rows and columns; a label may turn where two classes are equally likely."""
    ours, theirs = one[:, :inner, :inner].astype(np.float32), answer[:, :inner, :inner].astype(np.float32)
    differing = np.mean(np.abs(ours - theirs) > 1e-5)
    print(f"{differing:.2g} of the tile's values differ from the large image's (goal below 1e-4)")
    if not differing < 1e-4:
        sys.exit(1)


if __name__ == "__main__":
    main()
