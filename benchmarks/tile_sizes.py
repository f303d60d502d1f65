"""Whether the largest tile that memory permits is the fastest: time and memory by tile size, as predicted and measured.

    python benchmarks/tile_sizes.py
    python benchmarks/tile_sizes.py --filters 64 --size 900 --tiles 444 572 700 892

The default tile of `predict` and `export` rests on a model of cost: a tile of side n costs its multiply-adds, of which
those for the context are wasted, and about 32 bytes a pixel and top-level filter. Here an image is segmented with
several tiles, from small to large, in turns; printed are the multiply-adds and the seconds for the image, both as
multiples of the largest tile's, and the peak memory of the process beyond that before the first net ran.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--padding", choices=("valid", "same"), default="valid")
    parser.add_argument("--size", type=int, default=1500, help="height and width of the image in pixels")
    parser.add_argument("--tiles", type=int, nargs="+", default=[316, 444, 572, 700, 828, 956], help="largest tiles")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    tiles = sorted(arguments.tiles)

    import keras_unet

    net = {"filters": arguments.filters, "depth": arguments.depth, "padding": arguments.padding}
    model = keras_unet.UNet((None, None, 1), **net)
    image = np.random.default_rng(0).integers(0, 256, (arguments.size, arguments.size), np.uint8)
    predicted = [prediction(model, arguments.size, tile) for tile in tiles]
    peaks, times = measured(lambda tile: keras_unet.predict(model, image, tile=tile), tiles, arguments.rounds)
    print(f"{arguments.size} x {arguments.size} pixels, {arguments.filters} filters, depth {arguments.depth}")
    print(" tile   used   multiply-adds   seconds      ratio   memory predicted   peak")
    for (side, work, memory), peak, taken, tile in zip(predicted, peaks, times, tiles, strict=True):
        ratio = statistics.median(own / largest for own, largest in zip(taken, times[-1], strict=True))
        print(
            f"{tile:5}  {side:5}   {work / predicted[-1][1]:11.2f} x   {statistics.median(taken):7.2f}   "
            f"{ratio:6.2f} x   {memory / 1e6:13.0f} MB   {peak / 1e6:.0f} MB"
        )


def prediction(model: Any, size: int, tile: int) -> tuple[int, int, int]:
    """Side of the tiles that an image is cut into, their multiply-adds together, and bytes of memory."""
    from keras_unet.inference.tile_sizes import BYTES_PER_FILTER, tile_context
    from keras_unet.inference.tiling import Tiler
    from keras_unet.models.complexity import multiply_adds

    count, advance = Tiler(model.geometry, (tile, tile)).split(size, 0)
    side = advance + tile_context(model.geometry)
    memory = model.get_config()["filters"] * BYTES_PER_FILTER * side**2
    return side, count**2 * multiply_adds(model, side, side), memory


def measured(segment: Callable[[int], Any], tiles: list[int], rounds: int) -> tuple[list[int], list[list[float]]]:
    """For each tile the peak memory beyond that at the start, in bytes, and the seconds of each round."""
    before, peaks = status("VmRSS"), []
    for tile in tiles:  # from small to large, as the high-water mark never falls
        segment(tile)
        peaks.append(status("VmHWM") - before)
    times: list[list[float]] = [[] for _ in tiles]
    for _ in range(rounds):
        for tile, taken in zip(tiles, times, strict=True):
            start = time.perf_counter()
            segment(tile)
            taken.append(time.perf_counter() - start)
    return peaks, times


def status(field: str) -> int:
    """Bytes of memory of this process (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


if __name__ == "__main__":
    main()
