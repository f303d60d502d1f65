"""How long the challenges' metrics take, and telling objects apart, on one core.

    python benchmarks/challenge_metrics.py

Goals: the warping error of 30 slices of 512 x 512 over ten thresholds in a minute, SEG of 100 frames of 720 x 576 with
90 cells each in seconds, 2,000 objects at 2048 x 2048 by components in less than a second. Slices are those of the
ISBI 2012 challenge in the folder KERAS_UNET_DATA (default ../shared/data), some mirrored to make 30, or generated cells
without it; a probability is the smoothed truth with smooth noise added. Printed are medians of processor time.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keras_unet.challenge import (
    det_measure,
    pixel_error,
    rand_error,
    seg_measure,
    v_info,
    v_rand,
    warping_error,
)
from keras_unet.datasets.synthetic_cells import synthetic
from keras_unet.instances.components import instances, watershed_instances
from keras_unet.instances.matching import separated_pairs
from keras_unet.losses.weight_maps import separation_border

SLICES = Path("isbi2012") / "train-labels.tif"

Labels = NDArray[np.integer]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each; what takes longest has one")
    parser.add_argument("--seed", type=int, default=0, help="of noise and generated cells")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    random = np.random.default_rng(arguments.seed)
    em_stack(random, arguments.rounds)
    cell_tracking(random, arguments.rounds)
    touching_objects(arguments.seed, arguments.rounds)


def em_stack(random: np.random.Generator, rounds: int) -> None:
    name, truth = slices()
    probability = noisy(truth, random)
    print(f"\n{name}, ten thresholds")
    show("warping_error", 1, lambda: warping_error(truth, probability), "{:.6f}")
    show("rand_error", rounds, lambda: rand_error(truth, probability), "{:.4f}")
    show("pixel_error", rounds, lambda: pixel_error(truth, probability), "{:.4f}")
    show("v_rand", rounds, lambda: v_rand(truth, probability).best.f_score, "{:.4f}")
    show("v_info", rounds, lambda: v_info(truth, probability).best.f_score, "{:.4f}")
    show("v_rand, thinned", 1, lambda: v_rand(truth, probability, thinned=True).best.f_score, "{:.4f}")


def cell_tracking(random: np.random.Generator, rounds: int) -> None:
    frame = synthetic(1, 720, 112, 0).samples[0].labels[:576]
    frames = np.stack([np.roll(frame, 5 * number, axis=1) for number in range(100)])
    found = np.stack([instances(noisy(separation_border(one) > 0, random), 0.6, expand=2) for one in frames])
    cells = np.mean([len(np.unique(one)) - 1 for one in frames])
    print(f"\n100 frames of 720 x 576 with {cells:.0f} cells each")
    show("seg_measure", rounds, lambda: seg_measure(frames, found), "{:.4f}")
    show("det_measure", rounds, lambda: det_measure(frames, found), "{:.4f}")


def touching_objects(seed: int, rounds: int) -> None:
    labels = synthetic(1, 2048, 2000, seed).samples[0].labels
    probability = ndimage.gaussian_filter((separation_border(labels) > 0).astype(np.float32), 1)
    print(f"\n{labels.max()} touching cells, 2048 x 2048, the border between them blurred")

    def told_apart(find: Callable[..., Labels], **options: Any) -> str:
        pairs, all_pairs = separated_pairs(labels, find(probability, min_size=20, expand=2, **options))
        return f"{pairs} of {all_pairs} touching pairs told apart"

    for name, find, options in (
        ("instances", instances, {}),
        ("instances, holes filled", instances, {"largest_hole": 50}),
        ("watershed by distance", watershed_instances, {}),
        ("watershed by probability", watershed_instances, {"by": "probability"}),
    ):
        seconds = median(rounds, lambda find=find, options=options: find(probability, min_size=20, expand=2, **options))
        print(f"{name:<26}{seconds:>8.2f} s   {told_apart(find, **options)}", flush=True)


def slices() -> tuple[str, NDArray[np.bool_]]:
    file = Path(os.environ.get("KERAS_UNET_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")) / SLICES
    if not file.is_file():
        cells = [separation_border(synthetic(1, 512, 100, seed).samples[0].labels) > 0 for seed in range(30)]
        return f"30 slices of generated cells, 512 x 512 (no {file})", np.stack(cells)
    import tifffile

    truth = tifffile.imread(file) > 0
    truth = np.concatenate([truth, truth[:, ::-1]])[:30]
    return "30 slices of the ISBI 2012 challenge, 512 x 512", truth


def noisy(truth: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.float32]:
    """A probability of truth (..., height, width) as a fair net might give it."""
    around = (0,) * (truth.ndim - 2)
    noise = ndimage.gaussian_filter(random.normal(size=truth.shape), (*around, 3, 3))
    smooth = ndimage.gaussian_filter(truth.astype(np.float64), (*around, 1.5, 1.5))
    return np.clip(smooth + 0.2 * noise / noise.std(), 0, 1).astype(np.float32)


def show(name: str, rounds: int, measure: Callable[[], float], form: str) -> None:
    values: list[float] = []
    seconds = median(rounds, lambda: values.append(measure()))
    print(f"{name:<26}{seconds:>8.2f} s   {form.format(values[0])}", flush=True)


def median(rounds: int, call: Callable[[], Any]) -> float:
    """Seconds of processor time."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
