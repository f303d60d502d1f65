"""Sizes of the paper, and the receptive field measured on real nets."""

import random

import numpy as np
import pytest

from keras_unet.models import geometry
from keras_unet.models.geometry import Geometry

# Section 2 and figure 1 of the paper, and sizes worked out by hand.
PAPER_SIZES = {188: 4, 204: 20, 444: 260, 508: 324, 572: 388, 700: 516, 892: 708, 1068: 884}


@pytest.mark.parametrize(("size", "output"), PAPER_SIZES.items())
def test_sizes_of_the_paper_both_ways(size: int, output: int) -> None:
    assert geometry.output_size(size) == output
    assert geometry.input_size(output) == size


def test_border_and_skip_crops_of_the_paper() -> None:
    paper = Geometry()
    assert (paper.border, paper.margin, paper.stride, paper.smallest_input) == (184, 92, 16, 188)
    assert paper.skip_crops == (88, 40, 16, 4)


def test_legal_inputs_of_the_paper_are_16k_plus_60() -> None:
    legal = [n for n in range(1, 700) if Geometry().is_legal(n)]
    assert legal == [16 * k + 60 for k in range(8, 40)]


def test_padded_net_keeps_its_size_and_takes_multiples_of_its_stride() -> None:
    padded = Geometry(depth=3, padding="same")
    assert [n for n in range(1, 40) if padded.is_legal(n)] == [8, 16, 24, 32]
    assert padded.output_size(24) == 24
    assert padded.skip_crops == (0, 0, 0)


def test_bilinear_valid_net_loses_one_more_pixel_a_side_per_level() -> None:
    # Depth 1 by hand: 20 -> 16 -> 8 -> 4 -> bilinear 8, cropped 6 -> 2.
    assert Geometry(1, upsampling="bilinear").output_size(20) == 2
    assert Geometry(1, upsampling="bilinear").skip_crops == (5,)


@pytest.mark.parametrize("size", [573, 571, 100, 0, -4])
def test_illegal_input_names_the_nearest_legal_sizes(size: int) -> None:
    nearest = {573: "572 or 588", 571: "556 or 572", 100: "188", 0: "188", -4: "188"}[size]
    with pytest.raises(ValueError, match=rf"Received {size}\. Nearest legal: {nearest}\."):
        geometry.output_size(size)


def test_illegal_output_names_the_nearest_legal_sizes() -> None:
    with pytest.raises(ValueError, match="Received 300. Nearest legal: 292 or 308"):
        geometry.input_size(300)


@pytest.mark.parametrize("depth", [0, -1, 9, 2.0, True, "4"])
def test_impossible_depth_is_refused(depth: object) -> None:
    with pytest.raises(ValueError, match="Expected a (depth between 1 and 8|whole number for depth)"):
        Geometry(depth)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [{"padding": "full"}, {"upsampling": "nearest"}])
def test_unknown_names_are_refused(names: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="Expected (padding|upsampling)"):
        Geometry(2, **names)  # type: ignore[arg-type]


@pytest.mark.parametrize("pixels", [0, 1, 4, 5, 388, 389])
def test_covering_input_is_the_smallest_that_covers(pixels: int) -> None:
    paper = Geometry()
    size = paper.covering_input_size(pixels)
    assert paper.output_size(size) >= pixels
    assert size == paper.smallest_input or paper.output_size(size - paper.stride) < pixels


def _measured_fields(net: Geometry, residual: bool) -> tuple[int, list[tuple[int, int]]]:
    """Input size, and first and last input column that change each output column, found with impulses.

    All weights are positive and the image is black, so that an output pixel is above zero exactly where the impulse
    reaches it and nothing cancels.
    """
    from keras_unet.models.unet import UNet

    height, size = net.smallest_input, net.covering_input_size(3 * net.stride + 2 * net.margin)
    model = UNet(
        (height, size, 1),
        num_classes=1,
        filters=1,
        depth=net.depth,
        padding=net.padding,
        upsampling=net.upsampling,
        residual=residual,
        dropout=0.0,
        value_range=(-1.0, 1.0),
    )
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape) if "bias" in variable.path else np.full(variable.shape, 0.5))
    impulses = np.zeros((size, height, size, 1), np.float32)
    impulses[np.arange(size), :, np.arange(size)] = 1.0
    reached = model(impulses).numpy()[..., 0].max(axis=1) > 0  # (impulse, output column)
    columns = [np.flatnonzero(reached[:, column]) for column in range(reached.shape[1])]
    return size, [(int(c[0]), int(c[-1])) for c in columns]


@pytest.mark.parametrize("seed", range(8))
def test_measured_receptive_field_equals_the_computed_one(seed: int) -> None:
    choice = random.Random(seed)
    net = Geometry(choice.choice([1, 2, 3]), ("valid", "same")[seed % 2], ("transposed", "bilinear")[seed // 2 % 2])
    size, measured = _measured_fields(net, residual=seed >= 4)
    fields = [net.receptive_field(column) for column in range(len(measured))]
    assert len(measured) == net.output_size(size)
    assert measured == [(max(first, 0), min(last, size - 1)) for first, last in fields]
    inside = [first >= 0 and last < size for first, last in fields]
    assert sum(inside) >= net.stride, "the image is too small to see one whole period"
