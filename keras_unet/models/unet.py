"""The U-Net of Ronneberger, Fischer and Brox (2015) as a functional Keras model."""

import json
import lzma
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Self

import keras

from keras_unet.models import blocks
from keras_unet.models.blocks import NORMALIZATIONS, Normalization
from keras_unet.models.geometry import Geometry, Padding, Upsampling
from keras_unet.preprocessing.pixel_normalization import NormalizePixels, PixelNormalization, checked
from keras_unet.utils.argument_checks import whole_number

_OF_RUN = "model.keras"  # the file of a run folder that holds its model
_HEAD = "logits"

_OF_DAMAGE = OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError  # what reading a damaged archive raises
_LONGEST_CONFIG = 2**20  # bytes; that of a UNet has some hundred, of a compiled one some thousand

PRESETS: dict[str, dict[str, Any]] = {
    # Figure 1 of the paper: 572 -> 388, 64 … 1024 channels, 31,030,658 parameters.
    "ronneberger2015": {
        "input_shape": (572, 572, 1),
        "num_classes": 2,
        "filters": 64,
        "depth": 4,
        "padding": "valid",
        "dropout": 0.5,
    },
}


@keras.saving.register_keras_serializable(package="keras_unet")
class UNet(keras.Model):
    """U-Net: a contracting path, an expanding path and skip connections between them.

    By default the paper's net to the letter: 23 convolutional layers, valid convolutions, 31,030,658 parameters.
    Raw pixels go in and logits come out; the normalisation of pixels is a layer of the model.

    Args:
        input_shape: `(height, width, channels)` of a tile. Height and width may be None (any legal size).
        num_classes: Channels of the output, background included. 1 means one logit (sigmoid).
        filters: Channels of the top level, doubled at each level down.
        depth: Number of 2x2 max poolings.
        padding: `"valid"` (the output lacks `geometry.border` pixels) or `"same"`.
        dropout: Rate of the dropout at the end of the contracting path: after the last two levels, before the skip
            connection branches off, as in the authors' release. 0 for none.
        normalization: None, `"batch"` or `"group"`, after each 3x3 convolution.
        batch_momentum: Share of the moving averages of batch normalization that stays at an update, which predict: with
            0.99 they need some hundred updates, so that short runs want less.
        residual: Whether each block adds its input to its output.
        upsampling: `"transposed"` (2x2 up-convolution) or `"bilinear"`.
        value_range: `(low, high)` of the raw pixels of the training data.
        pixel_normalization: How raw pixels become the net's input. `"range"`: `value_range` becomes -1 … 1. `"image"`:
            each image, not each tile, gets zero mean and unit variance by its own robust statistics
            (`keras_unet.pixel_statistics`), so brightness and contrast do not change the result. Means and standard
            deviations, one per channel each: these constants take the place of the image's own, for values that mean
            the same in all images. But for `"range"` pixels are clipped to 10 standard deviations.
        training_tile: Height and width in pixels of the tiles that the net is trained on; by default those of
            `input_shape`. `predict` and export take such tiles, or the nearest that tile an image, where the result
            depends on them (`"group"`).
        dtype: Name of the dtype policy of the layers: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`; None takes
            Keras' global policy. Normalised pixels and logits stay float32.
        name: Name of the model.

    Input shape:
        `(batch, height, width, channels)`, raw pixel values of any real dtype.

    Output shape:
        `(batch, output_height, output_width, num_classes)`, float32 logits under every dtype policy.

    Raises:
        ValueError: For an illegal size (with the nearest legal ones), depth, rate, range or name.

    Reference:
        Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, figure 1 and section 2.
    """

    def __init__(
        self,
        input_shape: tuple[int | None, int | None, int] = (572, 572, 1),
        num_classes: int = 2,
        filters: int = 64,
        depth: int = 4,
        padding: Padding = "valid",
        dropout: float = 0.5,
        normalization: Normalization | None = None,
        residual: bool = False,
        upsampling: Upsampling = "transposed",
        value_range: tuple[float, float] = (0.0, 255.0),
        pixel_normalization: PixelNormalization = "range",
        training_tile: int | None = None,
        batch_momentum: float = 0.99,
        dtype: str | None = None,
        name: str | None = None,
    ) -> None:
        geometry = Geometry(depth, padding, upsampling)
        num_classes, filters = whole_number(num_classes, "num_classes"), whole_number(filters, "filters")
        input_shape = _checked_shape(input_shape, geometry)
        _check_arguments(num_classes, filters, dropout, normalization, batch_momentum)
        low, high = _checked_range(value_range)
        config: dict[str, Any] = {
            "input_shape": input_shape,
            "num_classes": num_classes,
            "filters": filters,
            "depth": geometry.depth,
            "padding": padding,
            "dropout": dropout,
            "normalization": normalization,
            "residual": residual,
            "upsampling": upsampling,
            "value_range": (low, high),
            "pixel_normalization": checked(pixel_normalization, input_shape[2]),
            "training_tile": None if training_tile is None else whole_number(training_tile, "training_tile", 1),
            "batch_momentum": batch_momentum,
            "dtype": dtype or keras.config.dtype_policy().name,
        }
        with blocks.dtype_policy(config["dtype"]):
            inputs, logits = _connect(config, geometry)
        super().__init__(inputs=inputs, outputs=logits, name=name)
        self.geometry = geometry
        self.num_classes = num_classes
        self._config = config

    @property
    def exact_tiling(self) -> bool:
        """Whether tiled prediction equals one pass: true unless group statistics span the whole tile."""
        return bool(self._config["normalization"] != "group")

    @property
    def value_range(self) -> tuple[float, float]:
        """`(low, high)` of the raw pixels of the training data."""
        low, high = self._config["value_range"]
        return low, high

    @property
    def pixel_normalization(self) -> PixelNormalization:
        """`"range"`, `"image"`, or the means and standard deviations of the channels."""
        normalization: PixelNormalization = self._config["pixel_normalization"]
        return normalization

    @property
    def normalizes_images(self) -> bool:
        """Whether pixels are normalised by the statistics of the image, which a tile of it does not have."""
        return self.pixel_normalization == "image"

    @property
    def training_tile(self) -> tuple[int, int] | None:
        """Height and width of the tiles that the net is trained on; None if they are not known."""
        side = self._config["training_tile"]
        height, width = (side, side) if side else self._config["input_shape"][:2]
        return (height, width) if height and width else None

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return int(self._config["input_shape"][2])

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Logits of a batch of tiles.

        Call arguments:
            inputs: `(batch, height, width, channels)`, raw pixels. Each is taken for a whole image if pixels are
                normalised by image.
            training: Whether dropout and batch statistics are active.
            mask: Not used.

        Raises:
            ValueError: If height or width is known and illegal, with the nearest legal sizes.
        """
        shape = getattr(inputs, "shape", ())
        if len(shape) == 4:
            for size, axis in zip(shape[1:3], ("height", "width"), strict=True):
                if size is not None:
                    self.geometry.check_input(int(size), axis)
        return super().call(inputs, training=training, mask=mask)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**self._config, "name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """A model with fresh weights from `get_config()`."""
        config = dict(config)
        trainable = config.pop("trainable", True)
        model = cls(**config)
        model.trainable = trainable
        return model

    @classmethod
    def from_preset(cls, preset: str, **changes: Any) -> Self:
        """A model by name, with some arguments changed: `UNet.from_preset("ronneberger2015", num_classes=3)`.

        Raises:
            ValueError: If no preset has that name.
        """
        if preset not in PRESETS:
            raise ValueError(f"Expected a preset among {', '.join(PRESETS)}. Received {preset!r}.")
        return cls(**{**PRESETS[preset], **changes})


def load_model(path: str | os.PathLike[str], compile: bool = False, num_classes: int | None = None) -> UNet:
    """The U-Net of a `.keras` file or of a run folder.

    Args:
        path: File written by `model.save`, or folder in which training left `model.keras`.
        compile: Whether to restore loss and optimizer too.
        num_classes: Classes that the net shall have, background included. If it was trained on another number, its
            last layer is new, with random weights, and all other weights are kept. None for those of the file.

    Raises:
        FileNotFoundError: If there is no such file, or none in the folder.
        ValueError: If the file is no `.keras` archive or holds another model, of which nothing is built then; if the
            folder holds the nets of several folds; if `num_classes` is less than 1, or given with `compile`, whose loss
            and optimizer are of the file's classes.
    """
    if compile and num_classes is not None:
        raise ValueError(f"Expected num_classes without compile=True. Received num_classes={num_classes}.")
    model = _load(Path(path), compile)
    if num_classes in (None, model.num_classes):
        return model
    changed = UNet.from_config({**model.get_config(), "num_classes": num_classes})
    copy_weights(model, changed)
    return changed


def copy_weights(source: UNet, target: UNet) -> None:
    """Give a net the weights of another of the same architecture; those of the last layer if the classes are as many.

    Args:
        source: Whose weights are read.
        target: Whose weights are replaced; under a strategy, called in its scope.
    """
    for layer in source.layers:
        if layer.weights and (layer.name != _HEAD or source.num_classes == target.num_classes):
            target.get_layer(layer.name).set_weights(layer.get_weights())


def _load(given: Path, compile: bool) -> UNet:
    file, fold = given / _OF_RUN if given.is_dir() else given, given / "fold-1"
    if not file.is_file() and (fold / _OF_RUN).is_file():
        raise ValueError(
            f"Expected a folder with one net. Received {os.fspath(given)!r}, which holds one for each fold: choose "
            f"one, such as {str(fold)!r}. `keras-unet predict` and `evaluate` average them."
        )
    if not file.is_file():
        what = "a folder without one" if given.is_dir() else "which does not exist"
        raise FileNotFoundError(
            f"Expected a run folder that holds {_OF_RUN}, or a .keras file. Received {os.fspath(given)!r}, {what}."
        )
    _check_holds_unet(file)
    try:
        known = {keras.saving.get_registered_name(UNet): UNet}
        model: UNet = keras.saving.load_model(file, custom_objects=known, compile=compile)
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"Expected a .keras file. Received {str(file)!r}, which cannot be read: {error}") from None
    return model


def _check_holds_unet(file: Path) -> None:
    """Refuse a file by its configuration alone: to build a model of another kind may run what its file says."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open("config.json") as stream:
            text = stream.read(_LONGEST_CONFIG + 1)
        if len(text) > _LONGEST_CONFIG:
            raise ValueError(f"its configuration is longer than {_LONGEST_CONFIG} bytes")
        config = json.loads(text)
        kind = config["registered_name"] or config["class_name"]
    except (*_OF_DAMAGE, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"Expected a .keras file. Received {str(file)!r}, which is damaged or something else: {error}."
        ) from None
    if kind != keras.saving.get_registered_name(UNet):
        raise ValueError(f"Expected a file that holds a UNet. Received a {kind} in {str(file)!r}.")


def _connect(config: dict[str, Any], geometry: Geometry) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input and the logits of the net that `config` describes."""
    filters, depth, dropout = config["filters"], config["depth"], config["dropout"]
    style = {key: config[key] for key in ("padding", "normalization", "batch_momentum", "residual")}
    inputs = keras.Input(config["input_shape"], name="image", dtype="float32")  # (batch, height, width, channels)
    x = _normalization_layer(config)(inputs)
    skips = []
    for level in range(depth):
        x = blocks.double_convolution(x, filters * 2**level, **style, name=f"down{level}")
        if level == depth - 1 and dropout:
            x = keras.layers.Dropout(dropout, name=f"down{level}_dropout")(x)
        skips.append(x)
        x = keras.layers.MaxPooling2D(2, name=f"down{level}_pool")(x)  # (batch, h / 2, w / 2, filters * 2**level)
    x = blocks.double_convolution(x, filters * 2**depth, **style, name="bottom")
    if dropout:
        x = keras.layers.Dropout(dropout, name="bottom_dropout")(x)
    for level in reversed(range(depth)):
        width = filters * 2**level
        x = blocks.upsample(
            x, width, upsampling=config["upsampling"], padding=config["padding"], name=f"up{level}_upconv"
        )
        skip = blocks.crop(skips[level], geometry.skip_crops[level], f"up{level}_skip")
        x = keras.layers.Concatenate(name=f"up{level}_concat")([skip, x])  # (batch, h, w, 2 * width)
        x = blocks.double_convolution(x, width, **style, name=f"up{level}")
    head = keras.layers.Conv2D(
        config["num_classes"], 1, kernel_initializer=blocks.he_normal(), dtype="float32", name=_HEAD
    )
    return inputs, head(x)  # (batch, output_height, output_width, num_classes)


def _normalization_layer(config: dict[str, Any]) -> keras.layers.Layer:
    normalization = config["pixel_normalization"]
    if normalization == "range":
        return blocks.rescale(config["value_range"])
    return NormalizePixels(None if normalization == "image" else normalization, name="normalize_pixels")


def _checked_shape(
    input_shape: tuple[int | None, int | None, int], geometry: Geometry
) -> tuple[int | None, int | None, int]:
    if len(input_shape) != 3:
        raise ValueError(f"Expected input_shape (height, width, channels). Received {tuple(input_shape)}.")
    height, width, channels = input_shape
    channels = whole_number(channels, "the channels of input_shape, which are last")
    if channels < 1:
        raise ValueError(f"Expected at least one channel, channels last. Received input_shape={tuple(input_shape)}.")
    for size, axis in ((height, "height"), (width, "width")):
        if size is not None:
            geometry.check_input(size, axis)
    return height and int(height), width and int(width), channels


def _checked_range(value_range: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(value) for value in value_range)
    if not (-float("inf") < low < high < float("inf")):
        raise ValueError(f"Expected a finite value_range (low, high) with low < high. Received {(low, high)}.")
    return low, high


def _check_arguments(
    num_classes: int, filters: int, dropout: float, normalization: Normalization | None, batch_momentum: float
) -> None:
    if num_classes < 1:
        raise ValueError(f"Expected num_classes of at least 1. Received {num_classes}.")
    if filters < 1:
        raise ValueError(f"Expected at least one filter. Received filters={filters}.")
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"Expected a dropout rate in 0 … 1, 1 excluded. Received {dropout}.")
    if not 0.0 <= batch_momentum < 1.0:
        raise ValueError(f"Expected a batch_momentum in 0 … 1, 1 excluded. Received {batch_momentum}.")
    if normalization is not None and normalization not in NORMALIZATIONS:
        raise ValueError(f'Expected normalization None, "batch" or "group". Received {normalization!r}.')
