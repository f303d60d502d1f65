"""Figures of images judged against their truth, chosen by name. No TensorFlow.

A metric of several images is what its room says: pixels are counted over all images (`keras_unet.metrics.scores`),
the challenge's errors take the stack (`keras_unet.challenge`), boundary distances and salient-object scores are means
over the images. A figure of one image is that of a data set of this image alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from keras_unet.metrics.evaluated_image import JudgedImage, Judgement, Scope
from keras_unet.metrics.registry import DEFAULT, GROUPS, METRICS, Figures


def figures(images: Sequence[JudgedImage], scope: Scope, metrics: Sequence[str] | None = None) -> Figures:
    """Figures of images over the whole data set.

    Args:
        images: At least one.
        scope: What they are judged by.
        metrics: Names of `METRICS` or `GROUPS`; None for `DEFAULT`, of which what does not fit the data is left out
            and what is not defined for them is None.

    Returns:
        `images`, `pixels` and the figures. `iou`, `dice`, `dice_per_image`, `precision`, `recall`, `f1` and
        `hausdorff95` are by class name, None for a class without a score, with `mean_…` over the classes that have one.

    Raises:
        ValueError: If a name is unknown, does not fit the data, or is not defined for them, as without any object.
    """
    return _taken(images, scope, chosen_metrics(metrics, scope), strict=metrics is not None)


def figures_by_image(
    images: Sequence[JudgedImage], scope: Scope, metrics: Sequence[str] | None = None
) -> dict[str, Figures]:
    """Figures of each image by itself, by its name; None where one is not defined. Arguments as `figures`."""
    names = chosen_metrics(metrics, scope)
    return {image.name: _taken([image], scope, names, strict=False) for image in images}


def check_metrics(names: Sequence[str]) -> None:
    """Refuse what is no name of a metric or group.

    Raises:
        ValueError: Naming those there are, and the nearest.
    """
    known = [*GROUPS, *METRICS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"Expected metrics among {', '.join(known)}. Received {name!r}.{hint}")


def chosen_metrics(names: Sequence[str] | None, scope: Scope) -> tuple[str, ...]:
    """Names of the metrics that fit the data, in order and without repetition.

    Raises:
        ValueError: If a metric asked for by its name does not fit, or none of a group does.
    """
    check_metrics(names or ())
    if names is None:
        return tuple(name for name in DEFAULT if METRICS[name].misfit(scope) is None)
    chosen: dict[str, None] = {}
    for name in names:
        members = GROUPS.get(name, (name,))
        misfits = {member: METRICS[member].misfit(scope) for member in members}
        fitting = [member for member, misfit in misfits.items() if misfit is None]
        if not fitting:
            expected, received = misfits[members[0]] or ("", "")
            raise ValueError(f"Expected {expected} for {name}. Received {received}.")
        chosen |= dict.fromkeys(fitting)
    return tuple(chosen)


def _taken(images: Sequence[JudgedImage], scope: Scope, names: Sequence[str], strict: bool) -> Figures:
    """Figures of metrics that fit; what is not defined is refused if `strict`, else None."""
    judgement = Judgement(images, scope)
    taken: Figures = {"images": len(images), "pixels": int(judgement.matrix.sum())}
    for name in names:
        metric = METRICS[name]
        if metric.objects and not judgement.has_objects and strict:
            raise ValueError(f"Expected a truth with at least one object for {name}. Received background alone.")
        taken |= metric.take(judgement)
    return taken
