"""Peak memory of segmenting an image from file to file, at sizes far beyond memory.

    python benchmarks/stream_memory.py
    python benchmarks/stream_memory.py --size 10000x10000 --size 100x1000000 --output probabilities

Writes a tiled, compressed TIFF of each size (one channel, uint8), segments it with a tiny net in a process of its own,
and prints that process's peak memory, also beyond that of an image of a single tile (goal: at most 2 GB in all).
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

TILE = 512  # pixels, of the file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", action="append", help="HEIGHTxWIDTH in pixels, as often as needed")
    parser.add_argument("--output", choices=("classes", "probabilities"), default="classes")
    parser.add_argument("--format", choices=("tif", "zarr"), default="tif")
    parser.add_argument("--tile", type=int, default=1024, help="largest input tile in pixels")
    parser.add_argument("--folder", type=Path, default=None, help="where the files go; needs room for image and result")
    parser.add_argument("--segment", nargs=4, help=argparse.SUPPRESS)  # source, target, tile, output: a child process
    arguments = parser.parse_args()
    if arguments.segment:
        segment(*arguments.segment)
        return
    sizes = [tuple(int(side) for side in size.split("x")) for size in arguments.size or ("10000x10000", "30000x30000")]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        base, _ = measured(Path(folder), (64, 64), arguments)
        print(f"an image of one tile: peak {base / 1e6:.0f} MB")
        for size in sizes:
            peak, seconds = measured(Path(folder), size, arguments)
            pixels = size[0] * size[1]
            print(
                f"{size[0]} x {size[1]}, {arguments.output}, {arguments.format}: {seconds:.0f} s, "
                f"{pixels / seconds / 1e6:.1f} Mpixel/s, peak {peak / 1e6:.0f} MB, "
                f"{(peak - base) / 1e6:.0f} MB beyond one tile (goal 2000 MB in all)",
                flush=True,
            )


def measured(folder: Path, size: tuple[int, int], arguments: argparse.Namespace) -> tuple[int, float]:
    """Peak memory in bytes and seconds of a process that segments an image of that size."""
    source, target = folder / f"{size[0]}x{size[1]}.tif", folder / f"{size[0]}x{size[1]}_out.{arguments.format}"
    write_image(source, size)
    command = [sys.executable, __file__, "--segment", source, target, str(arguments.tile), arguments.output]
    peak, seconds = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-2:]
    source.unlink()
    return int(peak), float(seconds)


def write_image(path: Path, size: tuple[int, int]) -> None:
    """A TIFF whose tiles repeat one pattern, so that it is soon written and small."""
    import tifffile

    pattern = np.add.outer(np.arange(TILE) // 4, np.arange(TILE) // 4).astype(np.uint8)

    def tiles() -> Iterator[np.ndarray]:
        for _ in range(-(-size[0] // TILE) * -(-size[1] // TILE)):
            yield pattern

    options = {"tile": (TILE, TILE), "compression": "zlib", "bigtiff": True, "photometric": "minisblack"}
    tifffile.imwrite(path, tiles(), shape=size, dtype=np.uint8, **options)


def segment(source: str, target: str, tile: str, output: str) -> None:
    from keras_unet import UNet
    from keras_unet.inference.streaming.streamed_prediction import predict_file

    model = UNet((None, None, 1), filters=2, depth=1)
    start = time.perf_counter()
    predict_file(model, source, target, tile=int(tile), output=output)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, seconds)


if __name__ == "__main__":
    main()
