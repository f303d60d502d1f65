"""Elastic deformation of one 512x512 image with label and weights, on one core: ours against others.

    pip install albumentations && pip install --no-binary elasticdeform elasticdeform
    python benchmarks/elastic_warp.py

Every program gets the same job: draw control vectors (3x3, 10 px), make the field, deform a float32 image and float32
weights linearly and labels to the nearest pixel, mirrored at the border. All take turns in one process, so that a
busy machine slows all alike; the figures are medians. Ours runs in `Dataset.map`, where it is used; the others are
called from Python. What is not installed is left out. (albumentations has no coarse grid: it blurs noise, here by its
default of 50 px and scaled to 10 px of displacement, coarser than which it gets slower still. elasticdeform is built
from source, as its wheels do not load with NumPy 2. OpenCV rounds positions to 1/32 pixel.)
"""

import argparse
import math
import os
import time
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[variable] = "1"
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", NO_ALBUMENTATIONS_UPDATE="1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from scipy.ndimage import map_coordinates  # noqa: E402

from keras_unet.augment.sampling_field import interpolation_matrix  # noqa: E402
from keras_unet.augment.tile_augmenter import elastic_deformation  # noqa: E402

SIGMA = 10.0
OURS = "keras-unet, XLA"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="height and width in pixels")
    parser.add_argument("--rounds", type=int, default=25, help="measurements of each program")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    times = measure(programs(options.size), options.rounds)
    ours = np.median(times[OURS])
    print(f"{'':34}   median  fastest   ours is faster by")
    for name, taken in times.items():
        ratio = np.median(taken) / ours
        print(f"{name:34} {np.median(taken):6.2f} ms {min(taken):6.2f} ms   {ratio:5.1f} x")


def measure(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Let the tasks take turns; milliseconds of each turn, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds + 1):
        for name, task in tasks.items():
            task()
            start = time.perf_counter()
            task()
            if turn:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def programs(size: int) -> dict[str, Callable[[], object]]:
    """The same job for each program."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (size, size)).astype(np.float32)
    label = random.integers(0, 30, (size, size)).astype(np.int32)
    weight = random.random((size, size), np.float32)
    tasks: dict[str, Callable[[], object]] = {}
    tasks |= ours(image, label, weight)
    tasks["OpenCV by hand"] = opencv(image, label.astype(np.uint8), weight, random)
    tasks["SciPy map_coordinates"] = scipy(image, label, weight, random)
    for optional in (elasticdeform, albumentations):
        try:
            tasks |= optional(image, label, weight, random)
        except ImportError as error:
            print(f"left out: {error}")
    return tasks


def ours(image: np.ndarray, label: np.ndarray, weight: np.ndarray) -> dict[str, Callable[[], object]]:
    arrays = [tf.constant(array) for array in (image[..., None], label, weight)]
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False  # nothing is made ahead of its measurement
    options.threading.private_threadpool_size = 1

    def step(jit_compile: bool) -> Callable[[], object]:
        def deform(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return elastic_deformation(*arrays, seed=tf.stack([number, 0]), sigma=SIGMA, jit_compile=jit_compile)

        iterator = iter(tf.data.Dataset.counter().map(deform).with_options(options))
        return lambda: next(iterator)

    return {OURS: step(True), "keras-unet, plain TensorFlow ops": step(False)}


def opencv(
    image: np.ndarray, label: np.ndarray, weight: np.ndarray, random: np.random.Generator
) -> Callable[[], object]:
    matrix = interpolation_matrix(len(image), 3, SIGMA)
    rows, columns = np.indices(image.shape).astype(np.float32)
    mirror = cv2.BORDER_REFLECT_101

    def task() -> object:
        knots = random.normal(0, SIGMA, (2, 3, 3)).astype(np.float32)
        field = matrix @ knots @ matrix.T
        down, across = rows + field[0], columns + field[1]
        return (
            cv2.remap(image, across, down, cv2.INTER_LINEAR, borderMode=mirror),
            cv2.remap(label, across, down, cv2.INTER_NEAREST, borderMode=mirror),
            cv2.remap(weight, across, down, cv2.INTER_LINEAR, borderMode=mirror),
        )

    return task


def scipy(
    image: np.ndarray, label: np.ndarray, weight: np.ndarray, random: np.random.Generator
) -> Callable[[], object]:
    matrix = interpolation_matrix(len(image), 3, SIGMA)
    grid = np.indices(image.shape).astype(np.float32)

    def task() -> object:
        knots = random.normal(0, SIGMA, (2, 3, 3)).astype(np.float32)
        places = grid + matrix @ knots @ matrix.T
        return [
            map_coordinates(array, places, order=order, mode="mirror")
            for array, order in ((image, 1), (label, 0), (weight, 1))
        ]

    return task


def elasticdeform(
    image: np.ndarray, label: np.ndarray, weight: np.ndarray, random: np.random.Generator
) -> dict[str, Callable[[], object]]:
    try:
        import elasticdeform as package
    except AttributeError as error:
        raise ImportError("elasticdeform was built for NumPy 1") from error

    def task() -> object:
        knots = random.normal(0, SIGMA, (2, 3, 3))
        return package.deform_grid([image, label, weight], knots, order=[1, 0, 1], mode="mirror")

    return {"elasticdeform": task}


def albumentations(
    image: np.ndarray, label: np.ndarray, weight: np.ndarray, random: np.random.Generator
) -> dict[str, Callable[[], object]]:
    import albumentations as package

    def transform(blur: float) -> Callable[[], object]:
        # The deviation of evenly drawn noise from -1 to 1 after the blur, brought to SIGMA.
        strength = SIGMA * math.sqrt(3) * 2 * math.sqrt(math.pi) * blur
        compose = package.Compose([package.ElasticTransform(alpha=strength, sigma=blur, p=1)])
        return lambda: compose(image=image, mask=label, masks=[weight])

    return {
        "albumentations ElasticTransform": transform(50.0),
        "albumentations, blur of 10 px": transform(10.0),
    }


if __name__ == "__main__":
    main()
