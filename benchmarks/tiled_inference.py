"""Tiled inference against its own tiles run back to back, and the memory it takes on a large scan.

    python benchmarks/tiled_inference.py
    python benchmarks/tiled_inference.py --large

The first form, on one core, times the tiled graph on an image and, in turns, the net alone on the same tiles in the
same batches, and prints the ratio of the medians (goal: at most 1.05). The second exports a small net and segments the
6976 x 5074 scan of the real data (folder `KERAS_UNET_DATA`, or --image) in processes of their own; it prints the peak
memory beyond that of one tile in units of the bytes of input and output as fed (goal: at most 3).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

SCAN = Path("formats") / "large" / "leaves_6976x5074.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, help="default: 16, with --large 4")
    parser.add_argument("--depth", type=int, help="default: 3, with --large 2")
    parser.add_argument("--padding", choices=("valid", "same"), default="valid")
    parser.add_argument("--tile", type=int, default=None, help="largest input tile in pixels")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--size", type=int, default=800, help="height and width of the image in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--large", action="store_true", help="memory on a large scan instead of time")
    parser.add_argument("--image", type=Path, default=None, help="the large scan")
    parser.add_argument("--segment", nargs=3, help=argparse.SUPPRESS)  # model, image file, signature: a child process
    arguments = parser.parse_args()
    arguments.filters = arguments.filters or (4 if arguments.large else 16)
    arguments.depth = arguments.depth or (2 if arguments.large else 3)
    if arguments.segment:
        segment(*arguments.segment)
    elif arguments.large:
        measure_memory(arguments)
    else:
        measure_time(arguments)


def measure_time(arguments: argparse.Namespace) -> None:
    pin_to_one_core()
    import tensorflow as tf

    from keras_unet.inference import forward as inference
    from keras_unet.inference import tiling
    from keras_unet.inference.tile_sizes import tile_context

    model = small_net(arguments, channels=1)
    forward, pixel = inference.probabilities(model)
    context, stride = tile_context(model.geometry), model.geometry.stride
    tile = arguments.tile or context + max(stride, 256 // stride * stride)
    tiler = tiling.Tiler(model.geometry, (tile, tile), arguments.batch_size)
    image = tf.random.stateless_uniform((1, arguments.size, arguments.size, 1), (0, 0), 0, 256, tf.int32)
    image = tf.cast(image, tf.uint8)
    tiled = tf.function(lambda images: tiler(images, forward, pixel))
    alone = tf.function(forward)

    (rows, height), (columns, width) = (tiler.split(arguments.size, axis) for axis in (0, 1))
    batches = -(-columns // arguments.batch_size)
    tiles = tf.zeros((-(-columns // batches), height + context, width + context, 1)) + 127.0

    def back_to_back() -> None:
        for _ in range(rows * batches):
            alone(tiles)

    times = in_turns([lambda: tiled(image), back_to_back], arguments.rounds)
    print(
        f"{arguments.size} x {arguments.size}: {rows} x {columns} tiles of {tiles.shape[1]} x {tiles.shape[2]} in "
        f"batches of {tiles.shape[0]}, {model.count_params():,} parameters"
    )
    tiled_time, alone_time = times
    print(f"tiled {tiled_time:.3f} s, its tiles back to back {alone_time:.3f} s", end=", ")
    print(f"ratio {tiled_time / alone_time:.3f} (goal 1.05)")


def in_turns(functions: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each function, run in turns so that a slow moment of the machine meets all."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 1):
        for function, record in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if turn:  # the first compiles
                record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in times]


def measure_memory(arguments: argparse.Namespace) -> None:
    import cv2

    from keras_unet import export

    data = Path(os.environ.get("KERAS_UNET_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
    file = arguments.image or data / SCAN
    image = cv2.imread(str(file))
    if image is None:
        sys.exit(f"Expected an image. Received {str(file)!r}; set KERAS_UNET_DATA or give --image.")
    model = small_net(arguments, channels=3)
    with tempfile.TemporaryDirectory() as scratch:
        folder = export.save(model, Path(scratch, "model"), tile=arguments.tile, input_dtype="uint8", verify=False)
        tile = export.read_description(folder)["tile"]
        whole, part = Path(scratch, "whole.npy"), Path(scratch, "part.npy")
        np.save(whole, image[None])
        np.save(part, one_tile(image, model, tile)[None])
        for signature, bytes_per_pixel in (("serving_default", 4 * model.num_classes), ("classes", 1)):
            report(folder, whole, part, signature, image.nbytes + image.shape[0] * image.shape[1] * bytes_per_pixel)


def one_tile(image: np.ndarray, model, tile: dict[str, int]) -> np.ndarray:
    from keras_unet.inference.tile_sizes import tile_context

    context = tile_context(model.geometry)
    return image[: tile["height"] - context, : tile["width"] - context]


def report(folder: Path, whole: Path, part: Path, signature: str, fed: int) -> None:
    tile_peak, _ = run_child(folder, part, signature)
    peak, seconds = run_child(folder, whole, signature)
    print(
        f"{signature}: {seconds:.1f} s, peak {peak / 1e6:.0f} MB, one tile {tile_peak / 1e6:.0f} MB, input + output "
        f"{fed / 1e6:.0f} MB: (peak - one tile) / (input + output) = {(peak - tile_peak) / fed:.2f} (goal 3)"
    )


def run_child(folder: Path, image: Path, signature: str) -> tuple[int, float]:
    """Peak memory in bytes and seconds of one request in a process of its own."""
    command = [sys.executable, __file__, "--segment", str(folder), str(image), signature]
    peak, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:]
    return int(peak), float(seconds)


def segment(folder: str, image: str, signature: str) -> None:
    sys.modules["keras"] = sys.modules["keras_unet"] = None  # type: ignore[assignment]
    import tensorflow as tf

    model = tf.saved_model.load(folder)
    pixels = np.load(image)
    start = time.perf_counter()
    (answer,) = model.signatures[signature](images=tf.convert_to_tensor(pixels)).values()
    seconds = time.perf_counter() - start
    assert answer.shape[1:3] == pixels.shape[1:3]
    print(peak_memory(), seconds)


def peak_memory() -> int:
    """Most bytes this process has held (Linux: getrusage would begin with what its parent held)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def small_net(arguments: argparse.Namespace, channels: int):
    from keras_unet import UNet

    return UNet((None, None, channels), filters=arguments.filters, depth=arguments.depth, padding=arguments.padding)


def pin_to_one_core() -> None:
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    main()
