"""`keras-unet predict` warns of pixels far from those that the model was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from helpers.command_line import run
from helpers.nets import exported as export_of
from helpers.nets import load_once
from numpy.typing import NDArray

from keras_unet.commands.value_range import check_range


def pixels(low: float, high: float, dtype: str) -> NDArray[Any]:
    """Evenly from `low` to `high`."""
    return np.linspace(low, high, 10_000).reshape(100, 100, 1).astype(dtype)


def with_hot(image: NDArray[Any], count: int) -> NDArray[Any]:
    image = image.copy()
    image.flat[:count] = np.iinfo(image.dtype).max
    return image


@pytest.mark.parametrize(
    ("image", "value_range", "is_far"),
    [
        (pixels(0, 65535, "uint16"), (0, 255), True),
        (pixels(0, 4095, "uint16"), (0, 255), True),
        (pixels(0, 1, "float32"), (0, 255), True),
        (pixels(-1, 1, "float32"), (0, 255), True),
        (pixels(0, 255, "uint8"), (0, 65535), True),
        (pixels(0, 255, "uint8"), (0, 4095), True),
        (pixels(0, 255, "uint8"), (0, 1), True),
        (pixels(0, 3000, "uint16"), (32000, 34000), True),
        (with_hot(pixels(0, 250, "uint16"), 11), (0, 255), True),
        (with_hot(pixels(0, 250, "uint16"), 9), (0, 255), False),
        (pixels(0, 255, "uint8"), (0, 255), False),
        (pixels(0, 20, "uint8"), (0, 255), False),
        (pixels(0, 400, "uint16"), (0, 255), False),
        (pixels(0, 0, "uint8"), (0, 255), False),
        (pixels(0, 0, "float32"), (0, 255), False),
        (pixels(0, 255, "float32"), (0, 255), False),
        (pixels(0, 700, "uint16"), (0, 65535), False),
        (pixels(31000, 36000, "uint16"), (32000, 34000), False),
        (pixels(0, 1, "float64"), (-3, 5), False),
        (pixels(0, 1.5, "float16"), (0, 1), False),
    ],
)
def test_pixels_are_far_where_no_darker_or_brighter_image_would_be(
    image: NDArray[Any], value_range: tuple[float, float], is_far: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    check_range(Path("a.tif"), image, value_range)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == is_far
    for line in lines:
        ends = [f"{image.min():g} to {image.max():g} ({image.dtype})", "{:g} to {:g} of".format(*value_range)]
        assert line.startswith("keras-unet: a.tif: its pixels, ")
        assert all(part in line for part in ends)


@pytest.mark.parametrize("exported", [False, True])
def test_predict_warns_once_per_file_of_pixels_far_from_the_models(net: Path, tmp_path: Path, exported: bool) -> None:
    tifffile.imwrite(
        tmp_path / "deep.tif", np.stack([pixels(0, 65535, "uint16")[..., 0]] * 2), photometric="minisblack"
    )
    tifffile.imwrite(tmp_path / "dark.tif", pixels(0, 60, "uint16")[..., 0])
    model = export_of(load_once(net), tile=44) if exported else net
    done = run("predict", model, tmp_path / "deep.tif", tmp_path / "dark.tif", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "far from" in line]
    assert len(told) == 1
    assert "deep.tif: its pixels, 0 to 65535 (uint16), are far from the 0 to 255 of" in told[0]
