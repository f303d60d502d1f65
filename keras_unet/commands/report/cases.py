"""Pictures of images beside what a model makes of them: image, truth, weight map, prediction, objects, errors."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from keras_unet.commands.report.evaluated_run import EvaluatedRun
from keras_unet.commands.report.markup import Html, joined, number, picture, tag
from keras_unet.metrics.registry import Figures
from keras_unet.metrics.tables import flat, title
from keras_unet.visualization import overlays
from keras_unet.visualization.result_panels import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    IGNORED,
    WRONG_CLASS,
    error_picture,
    object_pictures,
    truth_picture,
)

_LARGEST = 512  # pixels of a picture's longer side
_COARSE = 200  # pixels below which each is shown as a square
_UNDER_A_CASE = (
    *("mean_iou", "mean_dice", "pixel_accuracy", "pixel_error", "rand_error", "v_rand", "v_info", "seg"),
    *("objects", "objects_found", "touching_pairs", "separated_pairs"),
)


def worst_cases(judgement: EvaluatedRun, count: int) -> Html:
    """The images that the model does worst on, each with its pictures and figures, under a legend."""
    several = len(judgement.scope.class_names) > 2
    shown = judgement.worst_first[:count]
    ignored = judgement.data.ignore_label is not None
    return joined(_legend(several, ignored), [_case(judgement, place, rank + 1) for rank, place in enumerate(shown)])


def _case(judgement: EvaluatedRun, place: int, rank: int) -> Html:
    image = judgement.images[place]
    panels = list(_panels(judgement, place))
    coarse = max(image.truth.shape) < _COARSE
    return tag(
        "section",
        tag("h4", f"{rank}. ", judgement.short(image.name)),
        tag("div", [_panel(pixels, words, image.name) for pixels, words in panels], class_="panels"),
        tag("p", _figures(judgement.by_image[image.name])),
        class_="case coarse" if coarse else "case",
    )


def _panels(judgement: EvaluatedRun, place: int) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """Pictures with captions, of one size, in the order in which they are read."""
    image, sample = judgement.images[place], judgement.data[place]
    shape = sample.labels.shape
    size = "" if max(shape) <= _LARGEST else f", {shape[0]} x {shape[1]} shown smaller"
    yield _smooth(overlays.grey_or_colour(sample.image)), f"image{size}"
    by_object = judgement.scope.kind == "instances"
    if by_object:
        (truth, true_objects), (found, found_objects) = object_pictures(sample.image, image, judgement.scope)
        yield _smooth(true_objects), truth
    else:
        yield _sharp(truth_picture(image)), "truth"
    if judgement.weighted:
        weights = judgement.weights(place)
        yield _smooth(overlays.heat(weights)), f"weight map, 0 to {weights.max():.3g}"
    if image.cell is not None:
        yield _smooth(overlays.heat(image.cell, 0.0, 1.0)), f"probability of {judgement.scope.class_names[1]}"
    else:
        certain = overlays.coloured(image.found) * judgement.certainty(place)[..., None]
        yield _sharp(certain.astype(np.uint8)), "prediction, darker where less probable"
    if by_object:
        yield _smooth(found_objects), found
    yield _sharp(error_picture(sample.image, image)), "errors"


def _panel(pixels: NDArray[np.uint8], words: str, name: str) -> Html:
    return tag("figure", picture(pixels, f"{words} of {name}"), tag("figcaption", words))


def _figures(one: Figures) -> Html:
    known = flat(one)
    told = [joined(title(name), " ", number(known[name])) for name in _UNDER_A_CASE if known.get(name) is not None]
    return Html("; ".join(told))


def _legend(several: bool, ignored: bool) -> Html:
    marks = [("false positive: not in the truth", FALSE_POSITIVE), ("false negative: missed", FALSE_NEGATIVE)]
    marks += [("another class", WRONG_CLASS)] if several else []
    marks += [("does not count", IGNORED)] if ignored else []
    ramp = overlays.heat(np.linspace(0, 1, 9, dtype=np.float32)[None], 0.0, 1.0)[0]
    colours = ", ".join(_colour(tuple(shade)) for shade in ramp.tolist())
    scale = tag("span", class_="swatch ramp", style=f"background:linear-gradient(90deg, {colours})")
    items = [
        tag("li", tag("span", class_="swatch", style=f"background:{_colour(shade)}"), text) for text, shade in marks
    ]
    return tag("ul", items, tag("li", scale, "0 to 1, or to the highest weight"), class_="legend")


def _colour(rgb: tuple[int, ...]) -> str:
    return f"rgb({','.join(map(str, rgb))})"


def _smooth(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _resized(pixels, cv2.INTER_AREA)


def _sharp(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Smaller without colours in between, which would stand for other classes."""
    return _resized(pixels, cv2.INTER_NEAREST)


def _resized(pixels: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    factor = _LARGEST / max(height, width)
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)
