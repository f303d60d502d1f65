"""The learning rate range test and the preview: what their commands print, write and show."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.command_line import done, wrong_use
from helpers.runs import cells, quiet, tiny

from keras_unet.commands import find_lr, preview
from keras_unet.training.config import ConfigError, config_from_dict
from keras_unet.training.lr_finder import RangeTest, find_learning_rate
from keras_unet.training.optimizers import WarmUpAndDecay


def bowl(lowest_at: float, rates: np.ndarray) -> RangeTest:
    """A loss that is a parabola over the logarithm of the rate."""
    losses = np.log10(rates / lowest_at) ** 2 + 0.5
    return RangeTest(rates, losses, losses)


def test_the_rate_rises_geometrically() -> None:
    """The same factor from step to step, the end reached at the last."""
    rising = WarmUpAndDecay(1e-5, 6, "exponential", end=10.0)
    np.testing.assert_allclose([float(rising(step)) for step in range(7)], np.geomspace(1e-5, 10.0, 7), rtol=1e-5)
    with pytest.raises(ValueError, match="end above 0"):
        WarmUpAndDecay(1e-5, 6, "exponential")
    with pytest.raises(ConfigError, match="Expected more than 0 with schedule"):
        config_from_dict({"optimizer": {"schedule": "exponential"}})


def test_the_suggestion_is_a_decade_below_the_lowest_loss() -> None:
    rates = np.geomspace(1e-6, 10, 71)
    found = bowl(0.1, rates)
    assert found.suggestion == pytest.approx(0.01)
    assert found.caution == ""
    assert "still falling at the highest rate, 1.0e+01" in bowl(1e3, rates).caution
    edge = bowl(2e-6, rates)
    assert edge.suggestion == rates[0]
    assert "try lower ones" in edge.caution


def test_a_net_is_trained_until_its_loss_breaks() -> None:
    config = tiny(optimizer_name="sgd", optimizer_momentum=0.0)
    found = find_learning_rate(config, lowest=1e-4, highest=1e6, steps=30, data=cells(), say=quiet)
    count = len(found.rates)
    assert 5 < count < 30
    np.testing.assert_allclose(found.rates, np.geomspace(1e-4, 1e6, 31)[:count], rtol=1e-3)
    assert found.smoothed[-1] > 4 * found.smoothed.min() or count == len(found.losses)
    assert 1e-4 < found.suggestion < found.rates[-1] / 10 * 1.001


@pytest.mark.parametrize(("lowest", "highest", "steps"), [(1e-3, 1e-3, 9), (0.0, 1.0, 9), (1e-3, 1.0, 1)])
def test_rates_that_do_not_rise_are_refused(lowest: float, highest: float, steps: int) -> None:
    with pytest.raises(ConfigError, match="Expected at least 2 steps from a lowest rate above 0"):
        find_learning_rate(tiny(), lowest=lowest, highest=highest, steps=steps, data=cells())


def test_the_command_writes_table_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = np.geomspace(1e-6, 10, 71)
    monkeypatch.setattr(find_lr, "find_learning_rate", lambda config, **range_: bowl(0.1, rates))
    find_lr.find_lr(tiny(), tmp_path / "lr", lowest=1e-6, highest=10, steps=71)
    assert "--set optimizer.learning_rate=1.0e-02" in capsys.readouterr().out
    table = np.genfromtxt(tmp_path / "lr" / "learning-rates.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["learning_rate"], rates, rtol=1e-5)
    picture = cv2.imread(str(tmp_path / "lr" / "learning-rates.png"))
    # The blue curve is lowest, in the picture, where the rate is 0.1: five sevenths of the way from 1e-6 to 10.
    rows, columns = np.nonzero((picture == (200, 80, 30)).all(axis=-1))
    assert columns[rows == rows.max()].mean() == pytest.approx(60 + 5 / 7 * 680, abs=20)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="which is a file"):
        find_lr.find_lr(tiny(), tmp_path / "file", lowest=1e-6, highest=10, steps=71)


def test_a_contact_sheet_shows_image_label_and_weight_of_each_tile(tmp_path: Path) -> None:
    config = config_from_dict({**tiny().to_dict(), "model": {"depth": 1, "padding": "valid"}})
    preview.preview(config, tmp_path / "sheet.png", tiles=3, data=cells())
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (3 * (32 + 28), 3 * 32 + 2 * 6, 3)


def test_label_and_weight_lie_where_the_net_sees_them_in_the_image() -> None:
    """A valid net's output, 4 pixels smaller a side: a frame in the image, grey around the others."""
    image, label = np.zeros((24, 24, 1), np.float32), np.zeros((16, 16), np.int32)
    label[3, 5], label[0, 0] = 1, 255
    weight = np.where(label == 1, 2.0, 0.0).astype(np.float32)
    sheet = preview.contact_sheet([(image, label, weight)], ignore_label=255)[28:]
    framed, labels, weights = sheet[:, :24], sheet[:, 30:54], sheet[:, 60:]
    assert (framed[3, 3:21] == (255, 200, 0)).all()
    assert (framed[4:20, 4:20] == 0).all()
    assert (labels[:4] == 128).all()
    assert np.argwhere(labels[4:20, 4:20].any(axis=-1)).tolist() == [[0, 0], [3, 5]]
    assert (labels[4, 4] == 128).all()
    assert np.unravel_index(weights[4:20, 4:20].sum(axis=-1).argmax(), (16, 16)) == (3, 5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("find-lr", "synthetic", "--lowest", "1", "--highest", "0.1"), "Expected 0 < --lowest < --highest"),
        (("find-lr", "synthetic", "--set", "training.stps=3"), "Did you mean steps?"),
        (("preview", "synthetic", "--out", "sheet.jpg"), "Expected a file name in .png"),
    ],
)
def test_wrong_use_ends_in_status_2(arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in wrong_use(*arguments)


def test_the_preview_of_a_preset_is_a_command_away(tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"
    changes = ("data.options.size=64", "data.options.count=2", "data.validate=0", "training.input_size=64")
    options = [part for change in changes for part in ("--set", change)]
    done("preview", "synthetic", "--out", out, "--tiles", "2", *options)
    assert cv2.imread(str(out)).shape == (2 * (64 + 28), 3 * 64 + 2 * 6, 3)
