"""`keras-unet predict --stream`: images larger than memory, segmented from file to file."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_unet.commands.inputs import check_names, image_files
from keras_unet.commands.open_models import exported_version
from keras_unet.commands.value_range import RangeCheck, range_of_export, range_of_model
from keras_unet.image_io.decoding import Pixels
from keras_unet.inference.streaming.pieces import OUTPUTS, Pieces, PieceSegmenter, net_segmenter
from keras_unet.inference.streaming.streamed_prediction import stream
from keras_unet.inference.streaming.targets import check_target, partial_settings
from keras_unet.preprocessing.image_statistics import BY_STATISTICS, Statistics

FORMATS = ("tif", "zarr")

_NAMES = {"classes": "labels", "probabilities": "probabilities"}
_TILES_PER_REQUEST = 4  # along each axis; a request repeats the context around it


def stream_files(
    model: Path,
    paths: Sequence[Path],
    out: Path,
    *,
    output: str = "classes",
    file_format: str = "tif",
    tile: int | None = None,
    averaging: str = "none",
    level: int = 0,
    overwrite: bool = False,
) -> Iterator[Path]:
    """Segment image files and Zarr stores part by part; what was begun by an earlier call is gone on with.

    An image whose result exists is left out, which is told on stderr, as are pixels far from those that the model was
    trained on.

    Args:
        model: A run folder, a `.keras` file or an exported model.
        paths: Images, Zarr stores (folders that end in `.zarr`) and folders of images.
        out: Folder for the results: `cells_labels.tif` or `cells_probabilities.tif` for `cells.tif`.
        output: `"classes"` or `"probabilities"`.
        file_format: `"tif"` or `"zarr"`.
        tile: Input tile in pixels for a Keras model; an exported model has its own.
        averaging: Test-time averaging of a Keras model, as in `predict`; an exported model has its own.
        level: Level of pyramids; 0 is the largest.
        overwrite: Whether existing results are replaced.

    Yields:
        Paths of the files written.

    Raises:
        ValueError: If a choice is unknown, or an image does not fit the model.
        FileExistsError: If a folder that is no Zarr store stands where a result belongs.
    """
    if output not in OUTPUTS:
        raise ValueError(f"Expected an output among {', '.join(OUTPUTS)}. Received {output!r}.")
    if file_format not in FORMATS:
        raise ValueError(f"Expected a format among {', '.join(FORMATS)}. Received {file_format!r}.")
    stores = [path for path in paths if path.suffix == ".zarr" and path.is_dir()]
    others = [path for path in paths if path not in stores]
    exported = exported_version(model)
    if exported is not None and (tile is not None or averaging != "none"):
        given = "--averaging" if tile is None else "--tile"
        raise ValueError(f"Expected an exported model as it is: tile and averaging were fixed. Received {given}.")
    opened, value_range = _opened(model, exported, output)
    sources = [*stores, *(image_files(others, out) if others else [])]
    check_names(sources)
    for source in sources:
        target = out / f"{source.stem}_{_NAMES[output]}.{file_format}"
        if target.exists() and not overwrite:
            check_target(target, overwrite=True)
            print(f"{target}: exists, so {source} is left out; --overwrite replaces it.", file=sys.stderr)
            continue
        segmenter = opened
        if exported is None:
            chosen = tile or partial_settings(target).get("tile")
            segmenter = net_segmenter(opened, chosen, output, averaging=averaging)
        check = None if value_range is None else RangeCheck(source, value_range)
        if check is not None:
            segmenter = _watched(segmenter, check)
        written = stream(segmenter, source, target, level=level, overwrite=overwrite, progress=True)
        if check is not None:
            check.finish()
        yield written


def served_segmenter(folder: Path, output: str) -> PieceSegmenter:
    """An exported model as a segmenter: it is sent pieces with the context that they depend on.

    Equal to segmenting the image in one request to within rounding, if the model's tiles equal one pass.

    Args:
        folder: The version folder.
        output: `"classes"` or `"probabilities"`.

    Raises:
        ValueError: If the model is damaged; `pieces` raises it for pixels that the model does not take.
    """
    import tensorflow as tf

    from keras_unet.export import read_description
    from keras_unet.export.image_splitting import stride_and_context
    from keras_unet.inference.tile_sizes import tile_context
    from keras_unet.models.geometry import Geometry

    description = read_description(folder)
    shape = description["geometry"]
    geometry = Geometry(shape["depth"], shape["padding"], shape["upsampling"])
    stride, context = stride_and_context(description)
    height, width = (
        max(_TILES_PER_REQUEST * (description["tile"][axis] - tile_context(geometry)) - 2 * context, stride)
        for axis in ("height", "width")
    )
    try:
        module = tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        first = str(error).partition("\n")[0]
        raise ValueError(f"Expected an exported model in {str(folder)!r}. Received a damaged one: {first}") from None
    by_image = description.get("normalizes_images", False)  # which the first exports do not tell
    name = "classes" if output == "classes" else "serving_default"
    signature = module.signatures[name + BY_STATISTICS if by_image else name]
    dtype = np.dtype(description["input"]["dtype"])

    def pieces(size: tuple[int, int], received: np.dtype[Any], statistics: Statistics | None) -> Pieces:
        if dtype.kind != "f" and not np.can_cast(received, dtype):
            raise ValueError(f"Expected {dtype} pixels as chosen at export. Received {received}.")
        more = {} if statistics is None else {"statistics": tf.convert_to_tensor(statistics[None])}

        def run(pixels: Pixels) -> Pixels:
            answer = signature(images=tf.convert_to_tensor(pixels[None].astype(dtype)), **more)[output]
            return np.asarray(answer[0, context : context + height, context : context + width])

        return Pieces((height, width), context, 2 * context, run)

    pieces.module = module  # type: ignore[attr-defined]  # a signature does not keep its variables alive
    classes = output == "classes"
    return PieceSegmenter(
        channels=description["input"]["channels"],
        pixel=() if classes else (description["num_classes"],),
        dtype=np.dtype(np.uint8 if classes else np.float32),
        settings={"model": _digest(folder), "output": output, "tensorflow": tf.__version__},
        pieces=pieces,
        normalizes_images=by_image,
    )


def _watched(segmenter: PieceSegmenter, check: RangeCheck) -> PieceSegmenter:
    """A segmenter whose pixels are checked on their way."""

    def pieces(size: tuple[int, int], dtype: np.dtype[Any], statistics: Statistics | None) -> Pieces:
        cut = segmenter.pieces(size, dtype, statistics)
        values = size[0] * size[1] * segmenter.channels

        def run(pixels: Pixels) -> Pixels:
            check.add(pixels, values)
            return cut.run(pixels)

        return replace(cut, run=run)

    return replace(segmenter, pieces=pieces)


def _opened(model: Path, exported: Path | None, output: str) -> tuple[Any, Sequence[float] | None]:
    """A net, or the segmenter of an exported model; and the range that its pixels should lie in, if any."""
    if exported is None:
        from keras_unet.models.unet import load_model

        net = load_model(model)
        return net, range_of_model(net)
    from keras_unet.export import read_description

    return served_segmenter(exported, output), range_of_export(read_description(exported))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in [folder / "saved_model.pb", *sorted(folder.glob("variables/*"))]:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
