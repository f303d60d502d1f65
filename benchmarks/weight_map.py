"""The border term of equation 2 against one full distance transform per cell, on one core.

    python benchmarks/weight_map.py

Both are checked to agree to 1e-6 * w0, then run in turns; printed are medians of processor time and their ratio. Full
transforms come in two forms: `stack` keeps a distance image per cell and sorts them, as most published code does, and
`running` keeps the two smallest distances alone. Goals: 60 times at 30 cells, 100 times at 100, 2,000 cells at 2048 x
2048 in about a second. Real cells are those of DIC-C2DH-HeLa in the folder KERAS_UNET_DATA (default ../shared/data);
without it they are left out.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keras_unet.datasets.synthetic_cells import synthetic
from keras_unet.losses.weight_maps import border_term

W0, SIGMA = 10.0, 5.0
MOST_STACKED = 2**28  # bytes of distance images that `stack` may take
REAL = Path("DIC-C2DH-HeLa") / "01_ST" / "SEG"

Labels = NDArray[np.int32]
Method = Callable[[Labels], NDArray[np.floating]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="runs of each method on each image")
    parser.add_argument("--seed", type=int, default=0, help="of the generated cells")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{'labels':<34}{'windows':>10}{'running':>11}{'ratio':>8}{'stack':>11}{'ratio':>8}{'error/w0':>11}")
    for name, labels in images(arguments.seed):
        print(row(name, labels, arguments.rounds), flush=True)
    name, labels = generated(2000, 2048, arguments.seed)
    seconds = medians([border_term], labels, arguments.rounds)[0]
    print(f"{name:<34}{milliseconds(seconds):>10}")


def images(seed: int) -> Iterator[tuple[str, Labels]]:
    yield from real_cells()
    for cells, size in ((30, 512), (100, 512), (300, 1024)):
        yield generated(cells, size, seed)


def generated(cells: int, size: int, seed: int) -> tuple[str, Labels]:
    labels = synthetic(1, size, cells, seed).samples[0].labels
    return f"{number_of_cells(labels)} touching cells, {size} x {size}", labels


def real_cells() -> Iterator[tuple[str, Labels]]:
    folder = Path(os.environ.get("KERAS_UNET_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")) / REAL
    files = sorted(folder.glob("*.tif"))
    if not files:
        print(f"real cells left out: no label images in {folder}")
        return
    import tifffile

    for file in (files[0], files[len(files) // 2], files[-1]):
        labels = tifffile.imread(file).astype(np.int32)
        yield f"{number_of_cells(labels)} HeLa cells, 512 x 512", labels


def number_of_cells(labels: Labels) -> int:
    return len(np.unique(labels[labels > 0]))


def row(name: str, labels: Labels, rounds: int) -> str:
    error = np.abs(border_term(labels, W0, SIGMA) - running(labels)).max() / W0
    if error > 1e-6:
        raise SystemExit(f"{name}: the two disagree by {error:.1e} * w0")
    methods: list[Method] = [border_term, running]
    if number_of_cells(labels) * labels.size * 8 <= MOST_STACKED:
        methods.append(stack)
    seconds = medians(methods, labels, rounds if len(methods) == 3 else min(rounds, 3))
    cells = [f"{milliseconds(own):>{11}}{own / seconds[0]:>7.0f}x" for own in seconds[1:]]
    return f"{name:<34}{milliseconds(seconds[0]):>10}{''.join(cells):<38}{error:>11.0e}"


def medians(methods: list[Method], labels: Labels, rounds: int) -> list[float]:
    """Seconds of processor time of each method, run in turns after one run to warm up."""
    methods[0](labels)
    times: list[list[float]] = [[] for _ in methods]
    for _ in range(rounds):
        for own, method in zip(times, methods, strict=True):
            start = time.process_time()
            method(labels)
            own.append(time.process_time() - start)
    return [statistics.median(own) for own in times]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def running(labels: Labels) -> NDArray[np.float64]:
    nearest, second = np.full((2, *labels.shape), np.inf)
    for cell in np.unique(labels[labels > 0]):
        distance = ndimage.distance_transform_edt(labels != cell)
        np.minimum(second, np.maximum(nearest, distance), out=second)
        np.minimum(nearest, distance, out=nearest)
    return equation_2(nearest, second)


def stack(labels: Labels) -> NDArray[np.float64]:
    cells = np.unique(labels[labels > 0])
    distances = np.stack([ndimage.distance_transform_edt(labels != cell) for cell in cells], axis=-1)
    distances.sort(axis=-1)
    return equation_2(distances[..., 0], distances[..., 1])


def equation_2(nearest: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    term: NDArray[np.float64] = W0 * np.exp(-((nearest + second) ** 2) / (2 * SIGMA**2))
    return term


if __name__ == "__main__":
    main()
