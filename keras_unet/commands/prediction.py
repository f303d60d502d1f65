"""`keras-unet predict` and `weight-map`: models and images found on disk, results written beside each other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from keras_unet import image_io, pictures
from keras_unet.commands.failures import Failures
from keras_unet.commands.value_range import check_range
from keras_unet.instance_settings import InstanceSettings
from keras_unet.instances import class_components, connected_components

if TYPE_CHECKING:
    from keras_unet.unet import UNet


@dataclass(frozen=True)
class Segmenter:
    """A model that is called with an image.

    Args:
        probabilities: From an image `(height, width, channels)` to probabilities `(height, width, classes)`.
        value_range: `(low, high)` of the pixels that it was trained on.
        num_classes: Classes that it tells apart, background included; 1 for a single logit.
    """

    probabilities: Callable[[NDArray[Any]], NDArray[np.float32]]
    value_range: Sequence[float]
    num_classes: int

    def __call__(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities of an image."""
        return self.probabilities(image)


def load_keras(path: Path) -> "UNet":
    """The net of a run folder or a `.keras` file.

    Raises:
        FileNotFoundError: If there is no net.
    """
    file = path / "model.keras" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"Expected a run folder that holds model.keras, or a .keras file. Received {str(path)!r}, "
            + ("a folder without one." if path.is_dir() else "which does not exist.")
        )
    from keras_unet.unet import load_model

    return load_model(file)


def run_report(path: Path) -> dict[str, Any]:
    """What a finished run reported; empty for anything else."""
    from keras_unet.training.run_folder import RunFolder

    return RunFolder(path).read_report() or {}


def validated_instances(path: Path) -> InstanceSettings:
    """How objects are told apart best: as `tune` chose, else as training validated, else with a threshold of 0.5.

    Args:
        path: As for `open_model`; an exported model carries the choice of its run.
    """
    exported = exported_version(path)
    if exported is None:
        return InstanceSettings.validated(_object_figures(run_report(path)))
    from keras_unet.export import read_description

    return InstanceSettings.validated(read_description(exported).get("metadata") or {})


def export_details(path: Path) -> dict[str, Any]:
    """Class names and validation figures of a run, as `keras_unet.export.save` takes them; empty for a bare file."""
    report = run_report(path)
    return {"class_names": report["classes"], "metadata": _object_figures(report)} if report else {}


def _object_figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Validation figures of a report, with what `tune` chose; `threshold` is the one for components."""
    figures, tuned = report.get("validation") or {}, report.get("tuned")
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
    if description["metadata"].get("threshold") is None:
        lines.append("No signature instances: training validated no threshold for objects, as labels had no numbers.")
    if not description["tiled_equals_one_pass"]:
        lines.append("The net has global operations: its tiles do not equal one pass exactly.")
    return "\n".join(lines)


def open_model(path: Path, tile: int | None = None, averaging: str = "none") -> Segmenter:
    """Something that segments images with whatever `path` holds.

    Args:
        path: A run folder, a `.keras` file, or an exported model (its folder, or one version in it).
        tile: Input tile in pixels for a Keras model; an exported model has its own.
        averaging: Test-time averaging of a Keras model, as in `predict`; an exported model has its own.

    Raises:
        FileNotFoundError: If there is no model.
        ValueError: If a tile or averaging is asked of an exported model, or the averaging is unknown.
    """
    exported = exported_version(path)
    if exported is None:
        from keras_unet.forward import check_averaging
        from keras_unet.tiling import predict

        check_averaging(averaging, whole_images=True)
        net = load_keras(path)
        return Segmenter(
            lambda image: predict(net, image, tile=tile, averaging=averaging), net.value_range, net.num_classes
        )
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
    return Segmenter(segment, description["input"]["value_range"], description["num_classes"])


def image_files(paths: Sequence[Path], out: Path) -> list[Path]:
    """The files among `paths` and the images in the folders among them, results going to the folder `out`.

    Raises:
        FileNotFoundError: If a path does not exist or a folder holds no image.
        ValueError: If two images have one name, or `out` is a file or one of the folders.
    """
    files = list_files(paths, out)
    check_names(files)
    return files


def list_files(paths: Sequence[Path], out: Path) -> list[Path]:
    """As `image_files`, but images of different folders may have one name."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"Expected a folder for the results. Received {str(out)!r}, which is a file.")
    if any(path.is_dir() and path.resolve() == out.resolve() for path in paths):
        raise ValueError(
            f"Expected another folder for the results than that of the images. Received {str(out)!r} for both."
        )
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"Expected an image or a folder of images. Received {str(path)!r}: not found.")
        found = image_io.list_images(path) if path.is_dir() else [path]
        if not found:
            raise FileNotFoundError(f"Expected a folder that holds images. Received {str(path)!r} without one.")
        files += found
    return files


def check_names(files: Sequence[Path]) -> None:
    """Raise a `ValueError` if two images have one name, as results are named after them."""
    stems = [file.stem for file in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(
            f"Expected images with different names, as results are named after them. Received {twice[0]!r} twice."
        )


def page_name(file: Path, number: int, pages: int, taken: set[str]) -> str:
    """What the results of a page are named after: the file's stem, with the page's number in a stack."""
    name = file.stem if pages == 1 else f"{file.stem}_{number:04d}"
    if name in taken:
        raise ValueError(f"{file}: expected a name of its own for each result. Received {name!r} twice.")
    taken.add(name)
    return name


def predict_files(
    segment: Segmenter, paths: Sequence[Path], out: Path, settings: InstanceSettings | None = None
) -> Iterator[Path]:
    """Segment image files, one after the other; with `settings` the number of objects of each is printed.

    For an image `cells.tif` the folder gets `cells_labels.png` (most probable class), `cells_probabilities.tif`,
    `cells_overlay.png` and, with `settings`, `cells_instances.tif`. Pages of a stack are numbered from 0. A file whose
    pixels are far from those that the model was trained on is told on stderr, and so is one that fails: the others
    follow.

    Args:
        segment: From `open_model`.
        paths: Files and folders.
        out: Folder for the results, made if need be.
        settings: How to tell objects apart; None for classes alone.

    Yields:
        Paths of the files written.

    Raises:
        ValueError: At the end, if an image could not be read or did not fit the model; of one file at once, naming it.
    """
    files, taken = image_files(paths, out), set[str]()
    failures = Failures(len(files))
    for file in tqdm(files, unit="image", desc="segmenting", disable=None):
        with failures.told(file):
            pages = image_io.read_stack(file)
            check_range(file, pages, segment.value_range)
            for number, page in enumerate(pages):
                stem = page_name(file, number, len(pages), taken)
                try:
                    probabilities = segment(page)
                except ValueError as error:
                    raise ValueError(f"{file}: {error}") from error
                labels, planes = most_probable(probabilities), {"probabilities.tif": probabilities}
                yield from write_results(out / stem, page, labels, foreground(probabilities), planes, settings)
    failures.check()


def foreground(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of anything but background: `(height, width)` from `(height, width, classes)`."""
    if probabilities.shape[-1] == 1:
        return np.asarray(probabilities[..., 0])
    return np.asarray(np.clip(1.0 - probabilities[..., 0], 0.0, 1.0))


def most_probable(probabilities: NDArray[np.float32]) -> NDArray[np.int32]:
    """Class per pixel: `(height, width)` from `(height, width, classes)`; of one class, p > 0.5."""
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] > 0.5).astype(np.int32)
    return np.asarray(probabilities.argmax(axis=-1), np.int32)


def write_results(
    stem: Path,
    image: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    probability: NDArray[np.float32],
    planes: Mapping[str, NDArray[np.float32]],
    settings: InstanceSettings | None,
) -> Iterator[Path]:
    """Write what was found in an image beside each other; with `settings` the number of objects is printed.

    Args:
        stem: Folder and beginning of the names of the files.
        image: `(height, width, channels)`, shown under the overlay.
        labels: `(height, width)`, the most probable class of each pixel.
        probability: `(height, width)`, the probability of anything but background.
        planes: Probabilities `(height, width, pages)` to write, by the end of the file's name.
        settings: How to tell objects apart; None for classes alone.

    Yields:
        Paths of the files written.
    """
    shown = labels
    if settings is not None:
        shown = settings.find(probability)
        print(f"{stem.name}: {shown.max()} objects")
    results: dict[str, Callable[[Path], None]] = {
        "labels.png": lambda path: image_io.write_labels(path, labels),
        **{name: partial(image_io.write_probabilities, probabilities=plane) for name, plane in planes.items()},
        "overlay.png": lambda path: image_io.write_image(path, pictures.overlay(image, shown)),
    }
    if settings is not None:
        results["instances.tif"] = lambda path: image_io.write_labels(path, shown)
    for name, write in results.items():
        path = stem.with_name(f"{stem.name}_{name}")
        write(path)
        yield path


def weight_map_files(paths: Sequence[Path], out: Path, *, w0: float, sigma: float, components: bool) -> Iterator[Path]:
    """Weight maps of label images: `cells_weights.tif` (float32) and the picture `cells_weights.png`.

    Args:
        paths: Label files and folders of them.
        out: Folder for the results, made if need be.
        w0: Height of the border term of equation 2.
        sigma: Its width in pixels.
        components: Whether labels are masks or classes whose connected components are the objects.

    Yields:
        Paths of the files written.

    Raises:
        ValueError: If a file holds no labels, or only one object although `components` is false.
    """
    from keras_unet.weight_maps import weight_map

    taken = set[str]()
    for file in image_files(paths, out):
        pages = image_io.read_label_stack(file)
        for number, page in enumerate(pages):
            labels = class_components(page) if components else page
            if not components and _looks_like_a_mask(page):
                raise ValueError(
                    f"{file}: expected instance ids. Received the one value {page.max()} in several separate objects: "
                    "use --components for masks."
                )
            weights = weight_map(labels, w0=w0, sigma=sigma)
            stem = page_name(file, number, len(pages), taken)
            tiff, picture = out / f"{stem}_weights.tif", out / f"{stem}_weights.png"
            image_io.write_probabilities(tiff, weights[..., None])
            panels = [pictures.coloured(labels), pictures.heat(weights)]
            captions = ["objects", f"weights {weights.min():.2f} to {weights.max():.2f}"]
            image_io.write_image(picture, pictures.side_by_side(panels, captions))
            yield from (tiff, picture)


def _looks_like_a_mask(labels: NDArray[Any]) -> bool:
    """Whether one value marks several objects, so that it cannot be an instance id."""
    values = np.unique(labels[labels > 0])
    return len(values) == 1 and int(connected_components(labels).max()) > 1
