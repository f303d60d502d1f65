"""What a run remembers of its data and surroundings, and what it refuses to go on with."""

import hashlib
import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import done
from helpers.runs import cells, quiet, tiny

from keras_unet import training
from keras_unet.commands.evaluate import remarks
from keras_unet.datasets import LabelledImages
from keras_unet.training import provenance
from keras_unet.training.checkpoints import Progress
from keras_unet.training.config import ConfigError
from keras_unet.training.data_split import split
from keras_unet.training.run_folder import RunFolder
from keras_unet.training.run_summary import summarize


def begun(folder: Path, data: LabelledImages) -> RunFolder:
    """A run that has stored where it comes from, and nothing more."""
    run = RunFolder(folder)
    run.open(tiny())
    provenance.store(run, provenance.provenance(split(data, tiny().data)))
    return run


def with_sample(data: LabelledImages, index: int, **changes: Any) -> LabelledImages:
    samples = list(data.samples)
    samples[index] = replace(samples[index], **changes)
    return replace(data, samples=tuple(samples))


def test_a_fingerprint_is_name_shape_dtype_and_the_sha256_of_pixels_and_labels() -> None:
    sample = cells()[1]
    assert provenance.fingerprint([sample]) == [
        {
            "name": "cells 1",
            "shape": [32, 32, 1],
            "dtype": "uint8",
            "image": hashlib.sha256(sample.image.tobytes()).hexdigest(),
            "labels": hashlib.sha256(sample.labels.astype("<i4").tobytes()).hexdigest(),
        }
    ]


def test_images_that_a_run_was_trained_on_are_known_by_their_pixels(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", cells())
    renamed = with_sample(cells(4), 1, name="copy of 1", labels=cells()[1].labels * 2)
    assert provenance.trained_on(run, renamed) == ["cells 0", "copy of 1"]  # 2 validates, 3 is new
    assert provenance.trained_on(RunFolder(tmp_path), cells()) == []
    assert remarks(run.path, cells(4).subset([2, 3])) == []
    assert remarks(run.path, cells(4)) == [
        "2 of these 4 images were trained on: expect less on others. They are cells 0, cells 1."
    ]


@pytest.mark.parametrize(
    ("data", "difference"),
    [
        (with_sample(cells(), 1, image=cells()[1].image + np.uint8(1)), "1 samples differ: cells 1 \\(image\\)"),
        (with_sample(cells(), 0, labels=cells()[0].labels * 2), "cells 0 \\(labels\\)"),
        (with_sample(cells(), 2, name="other"), "cells 2 \\(name\\)"),
        (with_sample(cells(), 1, image=cells()[1].image.astype(np.float32)), "cells 1 \\(dtype, image\\)"),
        (cells(4), "cells 3 \\(new in the training set\\)"),
    ],
)
def test_a_run_is_not_resumed_with_other_data(data: LabelledImages, difference: str, tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", cells())
    config = tiny(data_validate="2", data_train="0-1, 3" if len(data) == 4 else "0-1")
    record = provenance.provenance(split(data, config.data))
    before = folder.provenance.read_bytes()
    with pytest.raises(ConfigError, match=f"{difference}.*training.allow_changed_data=true"):
        provenance.check_data(folder, record)
    assert provenance.check_data(folder, record, allow_changed=True)
    assert folder.provenance.read_bytes() == before


@pytest.mark.parametrize("text", ["[]", "{}", '{"train": 3, "validate": []}', '{"train": [7], "validate": []}'])
def test_a_record_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", cells())
    folder.provenance.write_text(text)
    config = tiny(data_validate="2", data_train="0-1")
    with pytest.raises(ConfigError, match="provenance.json: Expected the provenance of a run. Received"):
        provenance.check_data(folder, provenance.provenance(split(cells(), config.data)))


def test_a_run_goes_on_with_changed_data_where_that_is_allowed(stub_training: None, tmp_path: Path) -> None:
    """The permission makes the configuration no other; the record is then that of the new data."""
    said: list[str] = []
    begun(tmp_path / "run", cells())
    changed = with_sample(cells(), 1, image=cells()[1].image + np.uint8(1))
    with pytest.raises(ConfigError, match="cells 1"):
        training.run(tiny(), tmp_path / "run", data=changed, say=quiet)
    training.run(tiny(training_allow_changed_data=True), tmp_path / "run", data=changed, say=said.append)
    assert "Changed since the run began: cells 1 (image)." in said
    stored = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert stored["train"] == provenance.fingerprint(changed.samples[:2])


def test_the_state_of_the_code_is_that_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state() is None
    (tmp_path / "notes.txt").write_text("one")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for arguments in (("init", "-q"), ("add", "notes.txt"), (*identity, "commit", "-qm", "one")):
        subprocess.run(["git", *arguments], check=True, capture_output=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert provenance.git_state() == {"commit": head, "changed": False}
    (tmp_path / "notes.txt").write_text("two")
    assert provenance.git_state() == {"commit": head, "changed": True}
    monkeypatch.setenv("PATH", "")
    assert provenance.git_state() is None


def test_a_summary_tells_how_far_a_run_is(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", cells())
    assert done("info", folder.path).strip() == summarize(folder)
    lines = summarize(folder).splitlines()
    assert lines[1] == "state     begun, without a checkpoint; 6 steps to go"
    assert lines[2] == "data      synthetic; 2 to train on, 1 to validate on"
    progress = Progress(4, best_step=3, best=0.75, seconds=95.0)
    folder.checkpoints.mkdir()
    for finished, reported in (("", False), ("all steps done", False), ("all steps done", True)):
        progress.finished = finished
        if reported:
            folder.report.write_text("{}")
        np.savez(folder.checkpoints / "step-00000004.npz", progress=np.asarray(json.dumps(asdict(progress))))
        lines = summarize(folder).splitlines()
        state = "unfinished, its last checkpoint at step 4 of 6"
        if finished:
            state = "trained for 4 steps, its final figures not taken: the same command takes them"
        if reported:
            state = "finished after 4 steps: all steps done"
        assert lines[1:4] == [f"state     {state}", "best      mean_iou 0.75 at step 3", "time      1 min 35 s"]
        assert "seed      3" in lines
        assert any(line.startswith("versions  keras_unet ") and "tensorflow" in line for line in lines)
