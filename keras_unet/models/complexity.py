"""What a U-Net costs: multiply-adds layer by layer, and the summary that `keras-unet info` prints."""

import math
from dataclasses import dataclass

import keras

from keras_unet.models.unet import UNet


@dataclass(frozen=True)
class LayerCost:
    """One layer of weights: its output shape without the batch axis, its parameters, its multiply-adds."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def layer_costs(model: UNet, height: int, width: int) -> list[LayerCost]:
    """Cost of every layer that has weights, for one input tile.

    Args:
        model: The net.
        height: Input height in pixels.
        width: Input width in pixels.

    Raises:
        ValueError: If a size is illegal for the net, with the nearest legal ones.
    """
    config = model.get_config()
    config["input_shape"] = (height, width, model.channels)
    fixed = UNet.from_config(config)
    return [layer_cost(layer) for layer in fixed.layers if layer.weights]


def multiply_adds(model: UNet, height: int, width: int) -> int:
    """Multiply-adds of the convolutions for one input tile: 150.4e9 for the paper's net at 572x572."""
    return sum(cost.multiply_adds for cost in layer_costs(model, height, width))


def layer_cost(layer: keras.layers.Layer) -> LayerCost:
    """Cost of one layer of a built model, for an input of the size that the model was built for."""
    shape = tuple(layer.output.shape[1:])
    operations = 0
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
        kernel = math.prod(layer.kernel.shape)
        # A 2x2 up-convolution of stride 2 multiplies each input pixel once with the whole kernel.
        pixels = shape if isinstance(layer, keras.layers.Conv2D) else layer.input.shape[1:]
        operations = kernel * math.prod(pixels[:2])
    return LayerCost(layer.name, type(layer).__name__, shape, layer.count_params(), operations)


def describe(model: UNet, height: int | None = None, width: int | None = None) -> str:
    """Layers, parameters, multiply-adds and legal sizes as text.

    Args:
        model: The net.
        height: Input height in pixels; by default the model's own, or about 572 if that is open.
        width: Likewise.
    """
    net = model.geometry
    own_height, own_width = model.get_config()["input_shape"][:2]
    height = height or own_height or net.nearest_input_sizes(572)[1]
    width = width or own_width or net.nearest_input_sizes(572)[1]
    costs = layer_costs(model, height, width)
    total, output = sum(c.multiply_adds for c in costs), (net.output_size(height), net.output_size(width))
    legal = ", ".join(str(net.smallest_input + step * net.stride) for step in range(3))
    lines = [f"{'layer':<22}{'kind':<20}{'output':<20}{'parameters':>12}{'multiply-adds':>18}"]
    for c in costs:
        shape = " x ".join(map(str, c.output_shape))
        lines.append(f"{c.name:<22}{c.kind:<20}{shape:<20}{c.parameters:>12,}{c.multiply_adds:>18,}")
    lines += [
        "",
        f"parameters       {model.count_params():,} in {len(costs)} layers with weights",
        f"multiply-adds    {total / 1e9:.1f} G for one tile, {total / math.prod(output) / 1e3:,.0f} k per output pixel",
        f"tile             {height} x {width} -> {output[0]} x {output[1]} pixels, {model.num_classes} classes",
        f"legal inputs     {legal}, … (steps of {net.stride}); output = input - {net.border}",
        f"mirrored margin  {net.margin} pixels a side",
        f"pixels           {_normalization(model)}",
    ]
    return "\n".join(lines)


def _normalization(model: UNet) -> str:
    if model.pixel_normalization == "range":
        return f"{model.value_range[0]:g} … {model.value_range[1]:g} mapped to -1 … 1"
    if model.pixel_normalization == "image":
        return "each image normalised to mean 0, standard deviation 1"
    means, deviations = (", ".join(f"{value:.4g}" for value in part) for part in model.pixel_normalization)
    return f"normalised by mean {means}, standard deviation {deviations}"
