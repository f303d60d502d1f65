"""The sections of a configuration: every key with its range and its default."""

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from keras_unet.models.geometry import Geometry
from keras_unet.utils.addresses import check_address


def _absolute(path: str) -> str:
    """The same files from whatever folder the run is resumed; addresses such as gs://… stay as they are."""
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))


def _rising(value_range: tuple[float, float]) -> tuple[float, float]:
    if not value_range[0] < value_range[1]:
        raise ValueError("lowest before highest")
    return value_range


Monitor = Literal["loss", "mean_iou", "mean_dice", "pixel_accuracy", "rand_error", "seg"]
"""Validation figures that may say which weights are best."""

SMALLER_IS_BETTER = ("loss", "rand_error")
OF_WHOLE_IMAGES = ("rand_error", "seg")

Count = Annotated[int, Field(ge=1, strict=True)]
Pixels = Annotated[
    int,
    Field(ge=1, le=32768, strict=True, description="1 to 32768 pixels, of which one channel in float32 fills 4 GiB"),
]
Filters = Annotated[
    int,
    Field(ge=1, le=1024, strict=True, description="1 to 1024 filters, 16 times those of the paper"),
]
WholeNumber = Annotated[int, Field(ge=0, strict=True)]
NotNegative = Annotated[float, Field(ge=0, strict=True)]
Positive = Annotated[float, Field(gt=0, strict=True)]
Fraction = Annotated[float, Field(ge=0, lt=1, strict=True)]
FilePath = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_absolute)]


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class Data(Section):
    """`[data]`: which images, and which of them are kept for validation.

    Args:
        name: A reader of `keras_unet.datasets`.
        path: Where the images lie; generated data sets have none.
        options: Further arguments of the reader.
        train: Samples to train on: indices, `"0-19, 22"`, or None for all that are not validated on.
        validate_on: In the file `validate`: indices, `"20-23"`, or a fraction of the samples, taken from the end
            because neighbouring slices of a stack resemble each other. 0 for none.
    """

    name: Literal[
        "synthetic",
        "folder",
        "isbi2012",
        "cell_tracking",
        "dsb2018",
        "retina",
        "axondeepseg",
        "drosophila_vnc",
        "kvasir",
        "shards",
    ] = "synthetic"
    path: FilePath | None = None
    options: dict[str, Any] = {}
    train: list[WholeNumber] | str | None = Field(default=None, description='indices such as [0, 1] or "0-19, 22"')
    validate_on: Fraction | list[WholeNumber] | str = Field(
        default=0.2, alias="validate", description='a fraction from 0 to below 1, or indices such as [0, 1] or "20-23"'
    )


class Model(Section):
    """`[model]`: arguments of `keras_unet.UNet`. None is taken from the data.

    Args:
        pixel_normalization: `"image"`: each image gets mean 0 and standard deviation 1, so its brightness and contrast
            do not count. `"data"`: mean and standard deviation of all training images, for values that mean the same in
            all images. `"range"`: `value_range` is mapped to -1 … 1.
        value_range: Lowest and highest pixel value, for `"range"`.
    """

    num_classes: Count | None = None
    filters: Filters = 64
    depth: Annotated[int, Field(ge=1, le=8, strict=True)] = 4
    padding: Literal["valid", "same"] = "valid"
    dropout: Fraction = 0.5
    normalization: Literal["none", "batch", "group"] = "none"
    batch_momentum: Fraction = 0.99
    residual: bool = False
    upsampling: Literal["transposed", "bilinear"] = "transposed"
    pixel_normalization: Literal["image", "data", "range"] = "image"
    value_range: Annotated[tuple[float, float], AfterValidator(_rising)] | None = Field(
        default=None, description="two numbers, lowest and highest pixel value"
    )

    @property
    def geometry(self) -> Geometry:
        """Sizes of the net."""
        return Geometry(self.depth, self.padding, self.upsampling)


class Loss(Section):
    """`[loss]`: cross entropy weighted by equation 2, alone or with Dice.

    Args:
        kind: `"crossentropy"` or `"crossentropy_dice"`.
        w0: Height of the border term; 0 leaves it out.
        sigma: Width of the border term in pixels.
        class_weights: `"none"`; `"balanced"`, inversely to the frequency in the training set, with a mean of 1 over its
            pixels; or one weight per class.
        dice_weight: Factor of the Dice term.
    """

    kind: Literal["crossentropy", "crossentropy_dice"] = "crossentropy"
    w0: NotNegative = 10.0
    sigma: Positive = 5.0
    class_weights: Literal["balanced", "none"] | list[NotNegative] = Field(
        default="none", description='"balanced", "none" or one number per class'
    )
    dice_weight: NotNegative = 1.0


class Augmentation(Section):
    """`[augmentation]`: fields of `keras_unet.augment.AugmentationSettings`, where they and their ranges are told."""

    elastic_sigma: NotNegative = 10.0
    elastic_points: Count = 3
    rotation_degrees: NotNegative = 180.0
    shift: NotNegative = 16.0
    flip_horizontal: NotNegative = 0.5
    flip_vertical: NotNegative = 0.5
    scale: tuple[float, float] = Field(
        default=(1.0, 1.0), description="two numbers, smallest and largest magnification"
    )
    brightness: NotNegative = 0.2
    contrast: NotNegative = 0.2
    gamma: NotNegative = 0.2
    blur: NotNegative = 0.0
    noise: NotNegative = 0.1


class Optimizer(Section):
    """`[optimizer]`: the update rule and the course of the learning rate.

    Args:
        name: `"sgd"`, `"adam"` or `"adamw"`.
        learning_rate: Its peak. The paper never gave one.
        momentum: Of SGD; 0.99 in the paper.
        nesterov: Whether SGD looks ahead.
        weight_decay: Of kernels, decoupled from the gradient; 0 for none. Biases and normalizations do not decay.
        clip_norm: Largest norm of all gradients together; 0 for no limit.
        centralize: Whether updates of the weights of a filter have a mean of 0, so that few filters die.
        schedule: `"constant"`, `"cosine"`, `"poly"` or `"exponential"`, from the peak to `end_learning_rate` at the
            last step.
        warmup_steps: Steps over which the rate rises to its peak first.
        end_learning_rate: Rate at the last step.
        power: Exponent of `"poly"`.
        ema_decay: Share of the average that stays when an update is added to it; 0 for no average. The average, of
            about the last `1 / (1 - ema_decay)` updates, is what is validated, reported and kept as the model.
    """

    name: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: Positive = 1e-3
    momentum: Fraction = 0.99
    nesterov: bool = False
    weight_decay: NotNegative = 0.0
    clip_norm: NotNegative = 0.0
    centralize: bool = True
    schedule: Literal["constant", "cosine", "poly", "exponential"] = "constant"
    warmup_steps: WholeNumber = 0
    end_learning_rate: NotNegative = 0.0
    power: Positive = 0.9
    ema_decay: Fraction = 0.0


class Training(Section):
    """`[training]`: the course of the run.

    Args:
        steps: Updates of the weights. Whatever else is counted in steps is counted in updates too.
        batch_size: Tiles at a time, over all devices together.
        accumulate: Batches whose gradients are averaged for one update: that of a batch `accumulate` times as large,
            in the memory of one. Batch normalization and float16's loss scale still see one batch at a time.
        input_size: Height and width of a training tile in pixels.
        sampling: Where in its image a tile's output window lies before it is varied: `"uniform"` its centre anywhere;
            `"annotated"` with a pixel in it that is not ignored, for labels that cover little of an image;
            `"foreground"` with a pixel of an object, for objects that are few.
        start_from: A run folder or `.keras` file with the net whose weights the run starts from; None for random ones.
            The last layer is new where the number of classes is another.
        seed: Of initial weights, order, augmentation and dropout.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        xla: Whether the step is compiled by XLA; slower for convolutions on a CPU.
        steps_per_call: Steps between two returns to Python.
        log_every: Steps between two lines of log.csv.
        validate_every: Steps between two validations.
        histograms: Whether TensorBoard gets a histogram of each weight at every validation.
        checkpoint_every: Steps between two checkpoints.
        keep_checkpoints: How many of the latest are kept; the best on validation is kept too.
        monitor: Validation figure that says which weights are best. `"loss"`, `"mean_iou"`, `"mean_dice"` and
            `"pixel_accuracy"` are of the validation tiles. `"rand_error"` (ISBI 2012, two classes) and `"seg"` (Cell
            Tracking Challenge, instances; the best of some thresholds) are of whole images, predicted for it at every
            validation: what a challenge asks for is not always best where mean IoU is.
        patience: Validations without improvement after which the run ends; 0 for never.
        time_limit_minutes: Training ends at the next line of the log after it; 0 for no limit.
        deterministic: Whether TensorFlow is told to use deterministic algorithms only, for the whole process.
        allow_changed_data: Whether a run may be resumed although its images or labels are no longer those it began
            with. It makes the configuration no other.
        augment_on: `"cpu"`: tiles come finished from the input pipeline. `"device"`: the pipeline only cuts and draws,
            and what trains on a tile warps it first. Batches are the same to rounding.
        data_service: Machines that make the batches, `grpc://host:port` each, where `keras-unet data-worker` runs;
            none for this one. Batches stay the same, and so does the configuration.
    """

    steps: Count = 1000
    batch_size: Annotated[int, Field(ge=1, le=65536, strict=True)] = 1
    accumulate: Annotated[int, Field(ge=1, le=65536, strict=True)] = 1
    input_size: Pixels = 572
    sampling: Literal["uniform", "annotated", "foreground"] = "uniform"
    start_from: FilePath | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    xla: bool = False
    steps_per_call: Count = 1
    log_every: Count = 20
    validate_every: Count = 200
    histograms: bool = False
    checkpoint_every: Count = 200
    keep_checkpoints: Count = 2
    monitor: Monitor = "mean_iou"
    patience: WholeNumber = 0
    time_limit_minutes: NotNegative = 0.0
    deterministic: bool = False
    allow_changed_data: bool = False
    augment_on: Literal["cpu", "device"] = "cpu"
    data_service: list[Annotated[str, AfterValidator(check_address)]] = Field(
        default=[], description="addresses such as grpc://host:5000"
    )
