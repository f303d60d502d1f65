"""Models found on disk, of a run, in a `.keras` file or exported, and what is known of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet.commands.value_range import range_of_export, range_of_model
from keras_unet.instances.instance_settings import InstanceSettings


@dataclass(frozen=True)
class Segmenter:
    """A model that is called with an image.

    Args:
        probabilities: From an image `(height, width, channels)` to probabilities `(height, width, classes)`.
        value_range: `(low, high)` of the pixels that it was trained on; None where they need not lie in it.
        num_classes: Classes that it tells apart, background included; 1 for a single logit.
    """

    probabilities: Callable[[NDArray[Any]], NDArray[np.float32]]
    value_range: Sequence[float] | None
    num_classes: int

    def __call__(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities of an image."""
        return self.probabilities(image)


def run_report(path: Path) -> dict[str, Any]:
    """What a finished run reported; empty for anything else."""
    from keras_unet.training.run_folder import RunFolder

    return RunFolder(path).read_report() or {}


def validated_instances(path: Path, of_class: int | None = None, **given: Any) -> InstanceSettings:
    """How objects are told apart best: as `tune` chose, else as training validated, else with a threshold of 0.5.

    Args:
        path: As for `open_model`; an exported model carries the choice of its run.
        of_class: The class whose objects are meant, for which `tune` chooses apart; None for the foreground.
        given: Arguments of `InstanceSettings` that take precedence where they are not None.
    """
    exported = exported_version(path)
    if exported is None:
        known = _object_figures(run_report(path))
    else:
        from keras_unet.export import read_description

        known = read_description(exported).get("metadata") or {}
    if of_class is not None:
        known = {"tuned": known.get("tuned_classes", {}).get(str(of_class))}
    return InstanceSettings.validated(known, **given)


def class_number(path: Path, wanted: str) -> int:
    """The number of a class that is given by its name or number, background left out.

    Args:
        path: As for `open_model`; a bare `.keras` file has no names.
        wanted: A name or a number.

    Raises:
        ValueError: If there is no such class.
    """
    exported = exported_version(path)
    if exported is None:
        from keras_unet.models.unet import load_model

        names = run_report(path).get("classes") or [
            str(number) for number in range(max(load_model(path).num_classes, 2))
        ]
    else:
        from keras_unet.export import read_description

        names = read_description(exported)["class_names"]
    objects = list(names)[1:]
    if wanted in objects:
        return objects.index(wanted) + 1
    if wanted.isdecimal() and 1 <= int(wanted) <= len(objects):
        return int(wanted)
    listed = ", ".join(f"{name} ({number})" for number, name in enumerate(objects, 1))
    raise ValueError(f"Expected --class among {listed}. Received {wanted!r}.")


def validated_merging(path: Path) -> float | None:
    """The merge threshold that `tune` chose for a run on membranes; None where there is none."""
    chosen = (run_report(path).get("merging") or {}).get("merge_threshold")
    return None if chosen is None else float(chosen)


def export_details(path: Path) -> dict[str, Any]:
    """Class names and validation figures of a run, as `keras_unet.export.save` takes them; empty for a bare file."""
    report = run_report(path)
    return {"class_names": report["classes"], "metadata": _object_figures(report)} if report else {}


def _object_figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Validation metrics of a report, with what `tune` chose; `threshold` is the one for components."""
    figures, tuned = dict(report.get("validation") or {}), report.get("tuned")
    if "tuned_classes" in report:
        figures["tuned_classes"] = report["tuned_classes"]
    return figures if tuned is None else {**figures, "threshold": tuned["components_threshold"], "tuned": tuned}


def proof_in_words(description: dict[str, Any]) -> str:
    """What an exported model showed when it was loaded without Keras."""
    proof, tile = description["proof"], description["tile"]
    sizes = ", ".join(f"{height} x {width}" for height, width in proof["images"])
    lines = [
        f"Loaded where Keras is not; largest difference from predict {proof['largest_difference']:.1e} ({sizes}).",
        f"One tile of {tile['height']} x {tile['width']} takes {proof['seconds_per_tile']:.2f} s on this machine.",
    ]
    if "difference_to_float32" in proof:
        lines.append(f"Largest difference from float32: {proof['difference_to_float32']:.1e}.")
    if description["instances"] is not None:
        lines.append(f"Signature instances: {InstanceSettings(**description['instances']).in_words()}.")
    else:
        lines.append("No signature instances: training validated no threshold for objects, as labels had no numbers.")
    if not description["tiled_equals_one_pass"]:
        lines.append("The net has global operations: its tiles do not equal one pass exactly.")
    return "\n".join(lines)


def open_model(path: Path, tile: int | None = None, averaging: str = "none") -> Segmenter:
    """Something that segments images with whatever `path` holds.

    Args:
        path: A run folder, a `.keras` file, an exported model (its folder, or one version in it), or a folder of folds,
            whose nets' probabilities are averaged.
        tile: Input tile in pixels for a Keras model; an exported model has its own.
        averaging: Test-time averaging of a Keras model, as in `predict`; an exported model has its own.

    Raises:
        FileNotFoundError: If there is no model.
        ValueError: If a tile or averaging is asked of an exported model, or the averaging is unknown.
    """
    exported = exported_version(path)
    if exported is None:
        from keras_unet.inference.forward import check_averaging
        from keras_unet.inference.tiling import predict
        from keras_unet.models.unet import load_model
        from keras_unet.training.run_folder import fold_folders

        check_averaging(averaging, whole_images=True)
        nets = [load_model(fold.path) for fold in fold_folders(path)] or [load_model(path)]

        def mean(image: NDArray[Any]) -> NDArray[np.float32]:
            total = predict(nets[0], image, tile=tile, averaging=averaging)
            for net in nets[1:]:
                total = total + predict(net, image, tile=tile, averaging=averaging)
            return total / np.float32(len(nets))

        ranges = [value_range for net in nets if (value_range := range_of_model(net))]
        lowest_and_highest = (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
        return Segmenter(mean, lowest_and_highest, nets[0].num_classes)
    if tile is not None:
        raise ValueError("Expected no tile for an exported model: its tile was fixed at export. Received --tile.")
    if averaging != "none":
        raise ValueError(
            "Expected no averaging for an exported model: it was fixed at export. Received --averaging; export with it."
        )
    return _served(exported)


def exported_version(path: Path) -> Path | None:
    """The version folder of an exported model, the newest if `path` holds several."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [p for p in path.glob("*/saved_model.pb") if p.parent.name.isdecimal()] if path.is_dir() else []
    return max(versions, key=lambda p: int(p.parent.name)).parent if versions else None


def _served(folder: Path) -> Segmenter:
    import tensorflow as tf

    from keras_unet.export import read_description, sentence

    try:
        module = tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        first = str(error).partition("\n")[0]
        raise ValueError(f"Expected an exported model in {str(folder)!r}. Received a damaged one: {first}") from None
    signature = module.signatures["serving_default"]
    ((name, spec),) = signature.structured_input_signature[1].items()

    def segment(image: NDArray[Any]) -> NDArray[np.float32]:
        if not (spec.dtype.is_floating or np.can_cast(image.dtype, spec.dtype.as_numpy_dtype)):
            raise ValueError(f"Expected {spec.dtype.name} pixels as chosen at export. Received {image.dtype}.")
        request = tf.constant(image[None], spec.dtype)
        try:
            probabilities = signature(**{name: request})["probabilities"]
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(sentence(error.message)) from None
        return np.asarray(probabilities[0])

    segment.module = module  # type: ignore[attr-defined]  # a signature does not keep its variables alive
    description = read_description(folder)
    return Segmenter(segment, range_of_export(description), description["num_classes"])
