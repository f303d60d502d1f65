"""Tiled inference beside peers: the bare net, OpenVINO, patchify, tiler and CSBDeep.

    pip install openvino tiler csbdeep && pip install --no-deps patchify
    python benchmarks/inference_peers.py
    python benchmarks/inference_peers.py --model run/model.keras

First the paper's net on one grey image of 512 x 512 pixels, in float32 and bfloat16: a request to the exported
SavedModel, the bare net on the same tiles in the same batches (goal: at most 1.05 of its time), and OpenVINO, computing
in float32, on the same folder. Then smaller nets on generated cells of 1500 x 2000 pixels: `keras_unet.predict` beside
the usual ways of cutting images into overlapping patches and joining what the same compiled net makes of them, each as
its documentation shows. For these the largest difference in probability from one pass over the mirrored image is told,
too, once for the whole image and once for what lies further inside than the net sees: there nothing but seams differs.

All run in one process on the same cores and take turns; seconds and ratios are medians, a ratio being that of one
turn. What is not installed is left out. Weights are random, but for those of --model. patchify asks for NumPy 1 and
works with NumPy 2. CSBDeep cuts for padded nets alone and calls the net through Keras' `predict`.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Task = Callable[[], Any]
Forward = Callable[[Any], Image]


class Net(NamedTuple):
    """A net compiled once, and what every program cuts by; sizes in pixels.

    Args:
        model: The `UNet`.
        forward: From `(1, height, width, 1)` to probabilities `(height, width, classes)`, less what a valid net cuts.
        tile: Height and width of an input tile.
        context: What of a tile is not its own along one axis, both sides together.
        margin: What of it comes before a tile's first own pixel.
        cut: What the output lacks on each side: the margin of a valid net, else 0.
    """

    model: Any
    forward: Forward
    tile: int
    context: int
    margin: int
    cut: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--model", help="a trained net of one channel, for the second part")
    parser.add_argument("--quick", action="store_true", help="tiny nets and images, to see that all runs")
    arguments = parser.parse_args()
    keep_to_cores(arguments.cores)
    requests(arguments)
    whole_images(arguments)


def keep_to_cores(cores: int) -> None:
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(cores)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def requests(arguments: argparse.Namespace) -> None:
    """The paper's net behind its signature."""
    import keras

    from keras_unet import UNet

    keras.utils.set_random_seed(0)
    small = {"filters": 2} if arguments.quick else {}
    model = UNet.from_preset("ronneberger2015", input_shape=(None, None, 1), **small)
    image = cells(512, 512)[None, ..., None]
    print(f"512 x 512 pixels, the paper's net with {model.count_params():,} parameters, {arguments.cores} cores")
    print(f"{'':42}   median   to the bare net")
    for precision in ("float32", "bfloat16"):
        for tile in (572, 700):
            with tempfile.TemporaryDirectory() as scratch:
                one_export(model, image, precision, tile, Path(scratch), arguments)


def one_export(
    model: Any, image: Image, precision: str, tile: int, scratch: Path, arguments: argparse.Namespace
) -> None:
    import tensorflow as tf

    from keras_unet import UNet, export
    from keras_unet.inference import forward, tiling
    from keras_unet.inference.tile_sizes import tile_context

    folder = export.save(model, scratch / "model", tile=tile, precision=precision, warm_up=(), verify=False)
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    policy = "mixed_bfloat16" if precision == "bfloat16" else precision
    bare = UNet.from_config({**model.get_config(), "dtype": policy})
    alone = tf.function(forward.probabilities(bare)[0])
    tiles, advance = tiling.Tiler(model.geometry, (tile, tile)).split(image.shape[1], 0)
    side = advance + tile_context(model.geometry)
    pixels, patch = tf.constant(image), tf.zeros((1, side, side, 1))
    tasks: dict[str, Task] = {
        "bare net": lambda: [alone(patch) for _ in range(tiles**2)],
        "SavedModel": lambda: signature(images=pixels)["probabilities"].numpy(),
    }
    if precision == "float32":
        tasks |= optional({"OpenVINO": lambda: openvino(folder, image, arguments.cores)})
    times, answers = in_turns(tasks, arguments.rounds)
    for name, taken in times.items():
        label = f"{name}, {precision}, {tiles**2} x {side} x {side}"
        print(f"{label:42} {statistics.median(taken):6.3f} s   {ratio(taken, times['bare net']):5.2f} x", flush=True)
    if "OpenVINO" in answers:
        print(f"OpenVINO differs by at most {np.abs(answers['OpenVINO'] - answers['SavedModel']).max():.1e}")


def openvino(folder: Path, image: Image, cores: int) -> Task:
    import openvino as package

    model = package.Core().read_model(folder)
    model.reshape([-1, -1, -1, 1])
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores, "PERFORMANCE_HINT": "LATENCY"}
    compiled = package.compile_model(model, "CPU", hints)
    return lambda: compiled(image)["probabilities"]


def whole_images(arguments: argparse.Namespace) -> None:
    """Nets of 16 filters, or the given one, on a large image."""
    import keras

    from keras_unet import UNet, load_model

    image = cells(300, 400) if arguments.quick else cells(1500, 2000)
    if arguments.model:
        compare(load_model(arguments.model), image, arguments)
        return
    filters = 2 if arguments.quick else 16
    for padding, depth in (("same", 3), ("valid", 4)):
        keras.utils.set_random_seed(0)
        compare(UNet((None, None, 1), filters=filters, depth=depth, padding=padding), image, arguments)


def compare(model: Any, image: Image, arguments: argparse.Namespace) -> None:
    """Print a row for each program."""
    import keras_unet

    net = compiled(model, 1 if arguments.quick else 512)
    ours, reference = "keras_unet.predict", "one pass over the mirrored image"
    tasks: dict[str, Task] = {
        ours: lambda: keras_unet.predict(model, image, tile=net.tile),
        reference: lambda: one_pass(net, image),
    }
    around = margins(net, image, model.geometry.stride)
    peers = {
        "patchify": lambda: patchify(net, image),
        "tiler, overlap-tile": lambda: tiler(net, image, net.context, "overlap-tile", around),
    }
    if not net.cut:
        peers["tiler, averaged as by default"] = lambda: tiler(net, image, net.context, None, [(0, 0)] * 2)
        peers["tiler, Hann windows"] = lambda: tiler(net, image, 0.5, "hann", None)
        peers["CSBDeep predict_tiled"] = lambda: csbdeep(net, image)
    tasks |= optional(peers)
    times, answers = in_turns(tasks, arguments.rounds)
    config = model.get_config()
    print(
        f"\n{image.shape[0]} x {image.shape[1]} pixels, {config['filters']} filters, depth {config['depth']}, padding "
        f"{config['padding']}, tiles of {net.tile} x {net.tile}\n{'':34}   median  to ours   difference      inside"
    )
    for name, taken in times.items():
        difference = np.abs(answers[name] - answers[reference]).max(axis=-1)
        inside = difference[net.margin : -net.margin, net.margin : -net.margin]
        seconds = f"{statistics.median(taken):6.2f} s   {ratio(taken, times[ours]):5.2f} x"
        print(f"{name:34} {seconds}   {difference.max():10.1e}  {inside.max():10.1e}", flush=True)


def compiled(model: Any, tile: int) -> Net:
    """The net with tiles of at most `tile` pixels, but at least twice its context."""
    import tensorflow as tf

    from keras_unet.inference import forward
    from keras_unet.inference.tile_sizes import tile_context

    geometry, context = model.geometry, tile_context(model.geometry)
    pixels = tf.TensorSpec((1, None, None, 1), tf.float32)
    function = tf.function(forward.probabilities(model)[0], input_signature=[pixels])
    side = context + max(tile - context, context) // geometry.stride * geometry.stride
    cut = geometry.margin if geometry.padding == "valid" else 0
    return Net(model, lambda pixels: function(pixels)[0].numpy(), side, context, geometry.margin, cut)


def one_pass(net: Net, image: Image) -> Image:
    """The whole image at once, mirrored as far as the net sees and then to the nearest legal size."""
    height, width = image.shape
    mirrored = np.pad(image, margins(net, image, net.model.geometry.stride), mode="reflect")
    first = net.margin - net.cut
    return net.forward(mirrored[None, ..., None])[first : first + height, first : first + width]


def margins(net: Net, image: Image, step: int) -> list[tuple[int, int]]:
    """Context around each axis of `image`, with as much at the end as makes it a multiple of `step` and the context."""
    return [(net.margin, net.context - net.margin + -size % step) for size in image.shape]


def patchify(net: Net, image: Image) -> Task:
    """Patches overlap by the context; of a valid net the patches are those of its output, which barely do."""
    from patchify import patchify as split
    from patchify import unpatchify

    step = net.tile - net.context
    height, width = image.shape

    def task() -> Image:
        ends = [(0, max(net.tile - size, (net.tile - size) % step)) for size in image.shape]
        pixels = np.pad(image, margins(net, image, step) if net.cut else ends, mode="reflect")
        patches = split(pixels, (net.tile, net.tile), step=step)
        outputs = np.stack([[net.forward(patch[None, ..., None]) for patch in row] for row in patches])
        size = [pixel - 2 * net.cut for pixel in pixels.shape]
        joined = [unpatchify(outputs[..., label], size) for label in range(outputs.shape[-1])]
        return np.stack(joined, axis=-1)[:height, :width]

    return task


def tiler(net: Net, image: Image, overlap: float, window: str | None, padding: list[tuple[int, int]] | None) -> Task:
    """Tiles weighted by a window where they overlap, over the image mirrored by `padding` or as tiler computes it."""
    from tiler import Merger, Tiler

    middle = np.zeros((net.tile, net.tile))  # written out, as in tiler's example of the U-Net paper
    middle[net.margin : -net.margin, net.margin : -net.margin] = 1

    def task() -> Image:
        tiles = Tiler(image.shape, (net.tile, net.tile), overlap=overlap, mode="reflect")
        around = tiles.calculate_padding()[1] if padding is None else padding
        pixels = np.pad(image, around, mode="reflect")
        tiles.recalculate(data_shape=pixels.shape)
        merger = Merger(tiles, window=middle if window == "overlap-tile" else window, logits=net.model.num_classes)
        for number, tile in tiles(pixels):
            output = np.moveaxis(net.forward(tile[None, ..., None]), -1, 0)
            merger.add(number, np.pad(output, [(0, 0), (net.cut, net.cut), (net.cut, net.cut)]))
        return np.moveaxis(merger.merge(extra_padding=around), 0, -1)

    return task


def csbdeep(net: Net, image: Image) -> Task:
    """As CSBDeep's own models are run: mirrored to a multiple of the stride, overlaps as it knows them for a U-Net."""
    import keras
    from csbdeep.internals.predict import predict_tiled, tile_overlap

    model, stride = net.model, net.model.geometry.stride
    head = keras.layers.Activation("sigmoid" if model.num_classes == 1 else "softmax", dtype="float32")
    keras_model = keras.Model(model.inputs, head(model.outputs[0]))
    overlap = tile_overlap(model.geometry.depth, kern_size=3)
    height, width = image.shape
    tiles = [-(-size // (net.tile - net.context)) for size in image.shape]
    layout = ((*tiles, 1), (stride, stride, 1), (overlap, overlap, 0), "YXC")

    def task() -> Image:
        pixels = np.pad(image, [(0, -size % stride) for size in image.shape], mode="reflect")
        return predict_tiled(keras_model, pixels[..., None], *layout)[:height, :width]

    return task


def optional(makers: dict[str, Callable[[], Task]]) -> dict[str, Task]:
    """The programs whose packages are installed."""
    tasks = {}
    for name, make in makers.items():
        try:
            tasks[name] = make()
        except ImportError as error:
            print(f"{name} left out: {error}")
    return tasks


def in_turns(tasks: dict[str, Task], rounds: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of each turn, and what the tasks gave in the turn before these, which compiles."""
    answers = {name: task() for name, task in tasks.items()}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - start)
    return times, answers


def ratio(taken: list[float], other: list[float]) -> float:
    """Median of the ratios turn by turn, which a machine that slows down for a while changes little."""
    return statistics.median(own / theirs for own, theirs in zip(taken, other, strict=True))


def cells(height: int, width: int) -> Image:
    """Generated touching cells, `(height, width)`."""
    from keras_unet.datasets.synthetic_cells import synthetic

    return synthetic(1, (height, width)).samples[0].image[..., 0].astype(np.float32)


if __name__ == "__main__":
    main()
