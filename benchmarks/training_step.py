"""Images per second of a training step: ours, a bare TensorFlow loop, Keras' fit, and U-Nets of other packages.

    pip install csbdeep keras-unet-collection
    python benchmarks/training_step.py
    python benchmarks/training_step.py --filters 64 --size 512 --batch 8 --precision mixed_bfloat16 --peak-tflops 990
    python benchmarks/training_step.py --filters 64 --size 572 --batch 1 --padding valid
    python benchmarks/training_step.py --input

All take turns in one process, on the same tiles, which are made beforehand and held in memory: seconds are medians, a
ratio is the median of those of each turn. The first three train the same net with the same loss, optimizer and
precision; a turn is one call of a graph that makes all its steps. Goal: at least 0.97 of the bare loop's images.

The other packages' nets are trained by Keras' fit with that loss and optimizer. They are padded, so with --padding
valid they are left out, and none is quite ours: keras-unet-collection up-samples by 3x3 kernels with one more
convolution after them, CSBDeep by repeating pixels with narrower layers below. So their multiply-adds are told, too.
(segmentation-models, also common, builds its U-Nets on VGG, ResNet and the like alone.) No net has dropout here.

On a GPU the table ends with the peak memory of a turn beyond what all nets hold at rest. --peak-tflops tells the share
of the chip's peak, counted as 6 operations for each multiply-add of the forward pass. --input measures what the input
costs with the paper's net, as `keras-unet train --profile` does, on generated images of 512 x 512 pixels.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import keras_unet as ku
from keras_unet import training
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.datasets.synthetic_cells import synthetic
from keras_unet.models.complexity import layer_cost
from keras_unet.pipeline.examples import prepare
from keras_unet.pipeline.tile_datasets import training_dataset
from keras_unet.training.trainer import Trainer

OURS, BARE, FIT = "keras-unet", "bare TensorFlow loop", "Keras fit, our net"
GOAL = 0.97
DEPTH = 4
_BATCHES = 4

Turn = Callable[[], Any]


class Program(NamedTuple):
    """Something that trains.

    Args:
        turn: Makes all steps of a turn.
        multiply_adds: Of its net for one tile.
    """

    turn: Turn
    multiply_adds: int


def main() -> None:
    """Measure and print a table."""
    options = arguments()
    if options.input:
        input_share(options)
        return
    keras.utils.set_random_seed(0)
    tiles = held_tiles(options)
    entrants = programs(options, tiles)
    times, memory = in_turns(entrants, options.rounds)
    device = "GPU" if on_gpu() else f"{os.cpu_count()} CPU cores"
    compiled = ", XLA" if options.xla else ""
    print(f"{options.filters} filters, padding {options.padding}, {options.batch} tiles of {options.size} x", end=" ")
    print(f"{options.size}, {options.precision}{compiled}, {options.steps} steps a turn, {device}")
    print(f"{'':28}   images/s   to ours   multiply-adds" + memory_and_peak_heads(options))
    for name, entrant in entrants.items():
        rate = options.batch * options.steps / statistics.median(times[name])
        figures = f"{rate:8.2f}   {ratio(times[OURS], times[name]):5.2f} x   {entrant.multiply_adds / 1e6:11,.0f} M"
        print(f"{name:28}   {figures}{memory_and_peak(options, memory[name], rate * entrant.multiply_adds)}")
    if BARE in times:
        reached = ratio(times[BARE], times[OURS])
        print(f"Ours makes {reached:.3f} of the bare loop's images (goal: at least {GOAL}).")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--padding", choices=("same", "valid"), default="same")
    parser.add_argument("--size", type=int, default=256, help="height and width of a tile in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16", "mixed_float16"), default="float32")
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--steps", type=int, default=10, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each program")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="programs whose names begin so, beside ours")
    parser.add_argument("--peak-tflops", type=float, help="what the chip can at most, for the share of it")
    parser.add_argument("--input", action="store_true", help="measure the share of the input instead")
    parser.add_argument("--quick", action="store_true", help="a tiny net and few turns, to see that all runs")
    options = parser.parse_args()
    if options.quick:
        options.filters, options.size, options.batch, options.steps, options.rounds = 2, 64, 2, 2, 2
        options.size = 188 if options.padding == "valid" else options.size
    return options


def input_share(options: argparse.Namespace) -> None:
    """The paper's net at 572 with batch 1, as trained on ISBI 2012."""
    changes = ["data.name=synthetic", "data.options={count=8, size=512}", "data.train=0-7", "data.validate=0"]
    changes += [f"training.precision={options.precision}", f"training.xla={str(options.xla).lower()}"]
    if options.quick:
        changes += ["model.filters=2"]
    if not on_gpu():
        changes += ["training.steps_per_call=1"]
    for place in ("cpu", "device") if on_gpu() else ("cpu",):
        print(f"The paper's net, one tile of 572 x 572, {options.precision}, training.augment_on = {place}")
        training.profile(training.load_config("isbi2012", [*changes, f"training.augment_on={place}"]))


def on_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def held_tiles(options: argparse.Namespace) -> tf.data.Dataset:
    """A few batches of generated cells in memory, over and over."""
    geometry = ku.UNet((None, None, 1), filters=1, depth=DEPTH, padding=options.padding).geometry
    examples = prepare(synthetic(4, options.size))
    made = training_dataset(
        examples, geometry, options.size, settings=AugmentationSettings.none(), batch_size=options.batch
    )
    batches = made.batch(_BATCHES).take(1).get_single_element()
    return tf.data.Dataset.from_tensor_slices(batches).repeat().prefetch(2)


def programs(options: argparse.Namespace, tiles: tf.data.Dataset) -> dict[str, Program]:
    keras.config.set_dtype_policy(options.precision)
    entrants = {}
    for name, make in {OURS: trainer, BARE: bare_loop, FIT: fit}.items():
        if not wanted(name, options):
            continue
        net = our_net(options)
        entrants[name] = Program(make(net, options, tiles), multiply_adds(net))
    if options.padding == "same":
        for name, build in {"CSBDeep, fit": csbdeep, "keras-unet-collection, fit": unet_collection}.items():
            if not wanted(name, options):
                continue
            try:
                net = build(options)
            except ImportError as error:
                print(f"{name} left out: {error}")
                continue
            entrants[name] = Program(fit(net, options, tiles), multiply_adds(net))
    return entrants


def wanted(name: str, options: argparse.Namespace) -> bool:
    return name == OURS or not options.only or name.startswith(tuple(options.only))


def our_net(options: argparse.Namespace) -> keras.Model:
    shape = (options.size, options.size, 1)
    net = {"filters": options.filters, "depth": DEPTH, "padding": options.padding}
    return ku.UNet(shape, **net, dropout=0.0, dtype=options.precision)


def csbdeep(options: argparse.Namespace) -> keras.Model:
    from csbdeep.internals.nets import custom_unet

    shape = (options.size, options.size, 1)
    return custom_unet(shape, "linear", DEPTH, options.filters, (3, 3), pool_size=(2, 2), n_channel_out=2)


def unet_collection(options: argparse.Namespace) -> keras.Model:
    from keras_unet_collection.models import unet_2d

    filters = [options.filters * 2**level for level in range(DEPTH + 1)]
    return unet_2d((options.size, options.size, 1), filters, 2, output_activation=None, unpool=False)


def multiply_adds(net: keras.Model) -> int:
    return sum(layer_cost(layer).multiply_adds for layer in net.layers if layer.weights)


def update_rule(options: argparse.Namespace) -> keras.optimizers.Optimizer:
    """A rate at which no number of steps diverges; its value costs nothing."""
    rule = keras.optimizers.SGD(1e-6, momentum=0.99)
    return keras.optimizers.LossScaleOptimizer(rule) if options.precision == "mixed_float16" else rule


def trainer(net: keras.Model, options: argparse.Namespace, tiles: tf.data.Dataset) -> Turn:
    loop = Trainer(net, update_rule(options), ku.WeightedCrossentropy(), xla=options.xla)
    batches = loop.batches(tiles)
    return lambda: loop.run(batches, options.steps)


def bare_loop(net: keras.Model, options: argparse.Namespace, tiles: tf.data.Dataset) -> Turn:
    """What one would write without any library: a step, and a loop around it in the graph."""
    optimizer, loss, batches = update_rule(options), ku.WeightedCrossentropy(), iter(tiles)
    optimizer.build(net.trainable_variables)

    @tf.function(jit_compile=options.xla)
    def step(image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(label, net(image, training=True), sample_weight=weight)
            scaled = optimizer.scale_loss(value)
        gradients = tape.gradient(scaled, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
        return value

    @tf.function
    def several(batches: Any, steps: tf.Tensor) -> tf.Tensor:
        value = tf.constant(0.0)
        for _ in tf.range(steps):
            value = step(*next(batches))
        return value

    return lambda: several(batches, tf.constant(options.steps)).numpy()


def fit(net: keras.Model, options: argparse.Namespace, tiles: tf.data.Dataset) -> Turn:
    net.compile(
        update_rule(options),
        loss=ku.WeightedCrossentropy(),
        jit_compile=options.xla,
        steps_per_execution=options.steps,
    )
    return lambda: net.fit(tiles, steps_per_epoch=options.steps, shuffle=False, verbose=0)


def in_turns(entrants: dict[str, Program], rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of each turn, and the most bytes of one on a GPU (0 elsewhere); two turns before these compile."""
    times: dict[str, list[float]] = {name: [] for name in entrants}
    memory = dict.fromkeys(entrants, 0)
    for number in range(-2, rounds):
        for name, entrant in entrants.items():
            before = memory_info()["current"]
            start = time.perf_counter()
            entrant.turn()
            taken = time.perf_counter() - start
            if number >= 0:
                times[name].append(taken)
                memory[name] = max(memory[name], memory_info()["peak"] - before)
    return times, memory


def memory_info() -> dict[str, int]:
    """Bytes held now, and at most since the last call."""
    if not on_gpu():
        return {"current": 0, "peak": 0}
    info = tf.config.experimental.get_memory_info("GPU:0")
    tf.config.experimental.reset_memory_stats("GPU:0")
    return info


def memory_and_peak_heads(options: argparse.Namespace) -> str:
    return ("   GPU memory" if on_gpu() else "") + ("   of peak" if options.peak_tflops else "")


def memory_and_peak(options: argparse.Namespace, bytes_held: int, multiply_adds_per_second: float) -> str:
    """Forward is 2 operations for each multiply-add, backward twice that."""
    memory = f"   {bytes_held / 2**30:6.2f} GiB" if on_gpu() else ""
    if not options.peak_tflops:
        return memory
    return f"{memory}   {6e-12 * multiply_adds_per_second / options.peak_tflops:7.1%}"


def ratio(taken: list[float], other: list[float]) -> float:
    """Median of the ratios turn by turn, which a machine that slows down for a while changes little."""
    return statistics.median(own / theirs for own, theirs in zip(taken, other, strict=True))


if __name__ == "__main__":
    main()
