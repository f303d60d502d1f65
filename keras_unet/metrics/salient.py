"""Scores of salient-object segmentation, by the package `pysodmetrics`: the extra `salient`. No TensorFlow.

- `s_measure`: structure measure, alpha = 0.5.
- `max_e`, `mean_e`: enhanced-alignment measure, the largest and the mean over the thresholds of the curve averaged over
  the images.
- `max_f`: F-measure with beta^2 = 0.3, the largest over the thresholds of the curve averaged over the images.
- `weighted_f`: weighted F-measure, beta^2 = 1.
- `mae`: mean absolute error, 0 is best.
- `hce`: human correction effort, clicks for an image, 0 is best.

Probabilities are taken as they are: `pysodmetrics` would by default stretch each image to [0, 1], which changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_unet.challenge.seg import Frames, pair_frames
from keras_unet.instances.label_checks import check_labels, check_probability, check_same_shape

MEASURES = ("s_measure", "max_e", "mean_e", "max_f", "weighted_f", "mae", "hce")

_Read = Callable[[Any], float]


def salient_scores(truth: Frames, probability: Frames, measures: Sequence[str] = MEASURES) -> dict[str, float]:
    """Scores of one or several images, which weigh the same.

    Args:
        truth: `(height, width)`, a stack, or one array for each image; integers or booleans, nonzero is foreground.
        probability: The same images, of the same shapes, probability of foreground in [0, 1].
        measures: Which of `MEASURES` to take.

    Returns:
        Scores by name, in the order of `measures`.

    Raises:
        ValueError: If `pysodmetrics` is not installed, a measure is unknown, there are no images, they differ in number
            or shape, labels are no integers from 0 on, or probabilities are outside [0, 1] or NaN.

    Reference: Fan et al., ICCV 2017 (S), IJCAI 2018 (E); Achanta et al., CVPR 2009 (F); Margolin et al., CVPR 2014
        (weighted F); Perazzi et al., CVPR 2012 (MAE); Qin et al., ECCV 2022 (HCE).
    """
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise ValueError(f"Expected measures among {', '.join(MEASURES)}. Received {unknown[0]!r}.")
    counters = _counters(_pysodmetrics(), measures)
    pairs = [_checked(*pair) for pair in pair_frames(truth, probability)]
    if not pairs:
        raise ValueError("Expected at least one image. Received none.")
    for mask, chance in pairs:
        for counter in {id(counter): counter for counter, _ in counters.values()}.values():
            counter.step(chance, mask, normalize=False)
    return {name: float(read(counter.get_results())) for name, (counter, read) in counters.items()}


def _counters(package: Any, measures: Sequence[str]) -> dict[str, tuple[Any, _Read]]:
    """What counts each measure, and how its score is read from the results."""
    alignment = package.Emeasure() if {"max_e", "mean_e"} & set(measures) else None
    f_measure = package.FmeasureHandler(with_dynamic=True, with_adaptive=False, beta=0.3)
    every: dict[str, tuple[Callable[[], Any], _Read]] = {
        "s_measure": (lambda: package.Smeasure(alpha=0.5), lambda results: results["sm"]),
        "max_e": (lambda: alignment, lambda results: results["em"]["curve"].max()),
        "mean_e": (lambda: alignment, lambda results: results["em"]["curve"].mean()),
        "max_f": (lambda: package.FmeasureV2({"f": f_measure}), lambda results: results["f"]["dynamic"].max()),
        "weighted_f": (lambda: package.WeightedFmeasure(beta=1), lambda results: results["wfm"]),
        "mae": (package.MAE, lambda results: results["mae"]),
        "hce": (package.HumanCorrectionEffortMeasure, lambda results: results["hce"]),
    }
    return {name: (every[name][0](), every[name][1]) for name in measures}


def _checked(
    truth: npt.ArrayLike, probability: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.floating]]:
    labels, chance = check_labels(truth, "truth"), check_probability(probability)
    check_same_shape(labels, chance)
    return labels > 0, chance


def _pysodmetrics() -> Any:
    try:
        import py_sod_metrics
    except ModuleNotFoundError as error:
        raise ValueError(
            "Expected the package pysodmetrics for salient-object scores. "
            f"Received none ({error.name} is missing): pip install 'keras-unet[salient]'."
        ) from None
    return py_sod_metrics
