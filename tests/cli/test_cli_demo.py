"""`keras-unet demo`: its pictures and figures, and what it does in a folder that it, or somebody else, has used."""

import json
import re
from pathlib import Path

import pytest
from helpers.command_line import done, mistake
from helpers.nets import loaded, new_net, skip_the_proof

from keras_unet import image_io, training
from keras_unet.commands import demo
from keras_unet.instances.components import instances
from keras_unet.training.run_folder import RunFolder

SIZE = 240


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The demo on a small image, with a net that was not trained; the steps that training was asked for."""
    asked = []

    def run(config: training.Config, path: Path, overwrite: bool) -> None:
        asked.append(config.training.steps)
        folder = RunFolder(path)
        folder.open(config, overwrite)
        new_net(depth=1).save(folder.model)
        folder.report.write_text(json.dumps({"classes": ["background", "cell"], "validation": {"threshold": 0.52}}))

    monkeypatch.setattr(training, "run", run)
    monkeypatch.setattr(demo, "UNSEEN_SIZE", SIZE)
    skip_the_proof(monkeypatch)
    return asked


def test_demo_leaves_a_folder_of_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "overlay.png").write_text("mine")
    assert "other files" in mistake("demo", "--out", tmp_path, "--steps", "1")
    assert (tmp_path / "overlay.png").read_text() == "mine"


@pytest.mark.slow
def test_demo_counts_the_cells_that_the_exported_net_sees_and_goes_on_where_it_was_stopped(
    untrained: list[int], tmp_path: Path
) -> None:
    out = tmp_path / "demo"
    arguments = ("demo", "--out", out, "--steps", "7")
    printed = done(*arguments)
    assert untrained == [7]
    assert image_io.read_image(out / "overlay.png").shape[1] > 4 * SIZE
    unseen, found = image_io.read_image(out / "unseen.png"), image_io.read_labels(out / "instances.tif")
    segment = loaded(out / "models" / "cells" / "1").signatures["serving_default"]
    probability = 1 - segment(images=unseen[None].astype("float32"))["probabilities"].numpy()[0, ..., 0]
    assert (found == instances(probability, 0.52, 60, expand=2)).all()
    assert f"Counted {found.max()} cells of 60 pixels or more" in printed
    assert re.search(r"Of [1-9]\d* pairs of touching cells, [\d.]+% were told apart", printed)
    assert "overlay.png" in printed
    assert "is finished; choose another folder, or --overwrite" in mistake(*arguments)

    (out / "overlay.png").unlink()  # as if stopped after the training
    printed = done(*arguments)
    assert f"The training in {out / 'run'} is finished." in printed
    assert untrained == [7, 7]  # the second was refused
    assert "models/cells/2/" in printed
    assert (out / "overlay.png").exists()
