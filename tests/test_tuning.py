"""How objects are found, chosen by SEG and DET on drawn images, and where the choice is found again."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import done, mistake
from helpers.runs import tiny
from helpers.stub_training import untrained

from keras_unet import image_io
from keras_unet.commands import segment
from keras_unet.commands.open_models import export_details, validated_instances, validated_merging
from keras_unet.datasets.base import LabelledImages, Sample
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.metrics.evaluated_image import JudgedImage, judge
from keras_unet.training import ConfigError
from keras_unet.training.evaluation import one_class
from keras_unet.training.run_folder import RunFolder
from keras_unet.training.tuning import Merging, Tuned, save, save_merging, tune

CELLS = np.zeros((24, 44), np.int32)
CELLS[2:22, 2:22], CELLS[2:22, 23:43] = 1, 2


def image(chance: np.ndarray, labels: np.ndarray = CELLS) -> JudgedImage:
    return judge("drawn", ((labels > 0).astype(np.int32), labels), chance.astype(np.float32)[..., None], 2)


def test_a_threshold_that_parts_a_bridge_is_chosen_and_the_nearest_to_one_half_of_equal_ones() -> None:
    chance = np.where(CELLS > 0, 0.9, 0.0)
    chance[2:22, 22] = 0.62  # as long as the cells, so that no waist is left for the watershed
    tuned = tune([image(chance)])
    assert tuned.settings == InstanceSettings(threshold=0.65, expand=0)
    assert tuned.settings.find(chance).tolist() == CELLS.tolist()
    assert (tuned.seg, tuned.det, tuned.components_threshold) == (1, 1, 0.65)


def test_the_watershed_is_chosen_where_no_threshold_parts_the_cells() -> None:
    chance = np.where(CELLS > 0, 0.9, 0.0)
    chance[11:13, 22] = 0.9
    tuned = tune([image(chance)])
    assert tuned.settings == InstanceSettings(0.5, watershed=True, depth=1.0, expand=0)


def test_a_greater_depth_is_chosen_where_a_lesser_one_cuts_a_cell_in_pieces() -> None:
    """Each is 24 pixels wide at its ends and 18 in its middle, the bridge between the two is 4 wide."""
    labels = np.zeros((28, 124), np.int32)
    for number, left in ((1, 2), (2, 62)):
        labels[2:26, left : left + 58] = number
        labels[2:5, left + 24 : left + 34] = labels[23:26, left + 24 : left + 34] = 0
    chance = np.where(labels > 0, 0.9, 0.0)
    chance[12:16, 60:62] = 0.9
    tuned = tune([image(chance, labels)])
    assert InstanceSettings(0.5, watershed=True).find(chance).max() == 4
    assert (tuned.settings.watershed, tuned.settings.depth, tuned.settings.seed_threshold) == (True, 4.0, None)


def test_the_smallest_size_drops_false_objects_and_keeps_every_true_one() -> None:
    """Specks of 30 pixels; the median cell has 400, so that sizes of 12, 25, 50 and 100 pixels are tried."""
    labels = np.pad(CELLS, ((0, 20), (0, 0)))
    chance = np.where(labels > 0, 0.9, 0.0)
    chance[30:35, 4:10] = chance[30:35, 30:36] = 0.9
    tuned = tune([image(chance, labels)])
    assert tuned.settings.min_size == 50
    assert (tuned.seg, tuned.det) == (1, 1)


def test_seeds_are_flooded_where_no_single_threshold_keeps_both_outline_and_gap() -> None:
    """Cores of 0.95, rims of 0.35 and a broad valley of 0.25 between the cells, which belongs to them."""
    labels = np.zeros((24, 44), np.int32)
    labels[2:22, 2:22], labels[2:22, 22:42] = 1, 2
    chance = np.where(labels > 0, 0.35, 0.0)
    chance[6:18, 6:18] = chance[6:18, 26:38] = 0.95
    chance[2:22, 19:25] = 0.25
    tuned = tune([image(chance, labels)])
    assert (tuned.settings.threshold, tuned.settings.seed_threshold) == (0.1, 0.3)
    assert (tuned.seg, tuned.det) == (1, 1)


def test_nothing_to_choose_by_is_told() -> None:
    nothing = np.zeros_like(CELLS)
    with pytest.raises(ValueError, match="at least one object"):
        tune([image(nothing, nothing)])
    three = judge("three", (CELLS, CELLS), np.zeros((*CELLS.shape, 3), np.float32), 3)
    with pytest.raises(ValueError, match="a run of two classes"):
        tune([three])


def finished_run(folder: Path) -> RunFolder:
    """A folder with a report as training writes it, threshold and all."""
    run = RunFolder(folder)
    run.open(tiny())
    report = {"classes": ["background", "cell"], "validation": {"threshold": 0.8, "objects": 7}}
    run.report.write_text(json.dumps(report))
    return run


def test_a_run_that_was_never_tuned_keeps_the_threshold_of_its_training(tmp_path: Path) -> None:
    assert validated_instances(finished_run(tmp_path / "run").path) == InstanceSettings(0.8)


def test_the_choice_is_found_by_predict_and_the_threshold_for_components_by_export(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    save(run, Tuned(InstanceSettings(0.35, 40, True, 4.0), 0.75, 0.95, 0.9))
    assert validated_instances(run.path) == InstanceSettings(0.35, 40, True, 4.0)
    metadata = export_details(run.path)["metadata"]
    assert metadata["threshold"] == 0.9
    assert InstanceSettings.validated(metadata) == InstanceSettings(0.35, 40, True, 4.0)
    assert metadata["objects"] == 7
    assert run.read_report()["validation"] == {"threshold": 0.8, "objects": 7}, "what training reported stays"


def test_components_asked_for_where_a_watershed_was_chosen_take_their_own_threshold() -> None:
    tuned = {"threshold": 0.35, "min_size": 40, "watershed": True, "depth": 4.0, "components_threshold": 0.9}
    figures = {"tuned": tuned}
    assert InstanceSettings.validated(figures, watershed=False).threshold == 0.9
    assert InstanceSettings.validated(figures, watershed=False, threshold=0.2).threshold == 0.2
    assert InstanceSettings.validated(figures, watershed=None, min_size=7) == InstanceSettings(0.35, 7, True, 4.0)


def test_seeds_thresholds_are_read_and_a_threshold_given_alone_is_a_single_one() -> None:
    figures = {"tuned": {"threshold": 0.2, "seed_threshold": 0.8, "expand": 4, "components_threshold": 0.6}}
    assert InstanceSettings.validated(figures) == InstanceSettings(0.2, seed_threshold=0.8, expand=4)
    assert InstanceSettings.validated(figures, threshold=0.9) == InstanceSettings(0.9, expand=4)
    assert InstanceSettings.validated(figures, watershed=False) == InstanceSettings(0.6, expand=4)
    with pytest.raises(ValueError, match=r"Expected seed_threshold of at least the threshold 0.2.*Received 0.1"):
        InstanceSettings.validated(figures, seed_threshold=0.1)


def test_a_served_model_says_how_its_objects_are_told_apart() -> None:
    class Served:
        def __init__(self, metadata: dict) -> None:
            self.metadata = metadata

        def description(self) -> dict:
            return {"metadata": self.metadata}

    tuned = {
        "threshold": 0.9,
        "tuned": {"threshold": 0.35, "min_size": 40, "watershed": True, "depth": 4.0, "seg": 0.75},
    }
    assert segment.validated_instances(Served(tuned)) == InstanceSettings(0.35, 40, True, 4.0)
    assert segment.validated_instances(Served({"threshold": 0.8})) == InstanceSettings(0.8)
    assert segment.validated_instances(Served({})) == InstanceSettings(0.5)


def test_the_merge_threshold_is_found_by_predict_and_the_rest_of_the_report_stays(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    assert validated_merging(run.path) is None
    save_merging(run, Merging(0.7, 0.02, 0.09), "square")
    assert validated_merging(run.path) == 0.7
    assert run.read_report()["validation"] == {"threshold": 0.8, "objects": 7}
    assert run.read_report()["merging"]["averaging"] == "square"
    save_merging(run, Merging(None, 0.09, 0.09))
    assert validated_merging(run.path) is None


def test_the_choice_for_a_class_is_kept_beside_that_for_the_foreground(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    assert validated_instances(run.path, 2) == InstanceSettings(), "training validates no threshold for one class"
    save(run, Tuned(InstanceSettings(0.3, 5), 0.7, 0.9, 0.3), of_class=2)
    save(run, Tuned(InstanceSettings(0.6), 0.7, 0.9, 0.6), of_class=1)
    assert validated_instances(run.path, 1) == InstanceSettings(0.6)
    assert validated_instances(run.path, 2, min_size=9) == InstanceSettings(0.3, 9)
    assert validated_instances(run.path) == InstanceSettings(0.8)
    assert export_details(run.path)["metadata"]["tuned_classes"]["2"]["min_size"] == 5


def test_a_class_is_judged_against_all_others() -> None:
    labels = np.array([[0, 1, 2], [2, 2, 9]], np.int32)
    sample = Sample("a", np.zeros((2, 3, 1), np.uint8), labels)
    alone = one_class(LabelledImages((sample,), "classes", 3, ("background", "myelin", "axon"), 9), 2)
    assert alone.samples[0].labels.tolist() == [[0, 0, 1], [1, 1, 255]]
    assert (alone.class_names, alone.ignore_label, alone.kind) == (("other", "axon"), 255, "classes")


def test_a_run_of_three_classes_is_tuned_and_evaluated_one_class_at_a_time(tmp_path: Path) -> None:
    for index in range(4):
        labels = np.zeros((48, 48), np.int32)
        labels[8:20, 8:20], labels[8:20, 24:36], labels[28:40, 8:20] = 1, 1, 2
        image_io.write_image(tmp_path / "my" / "images" / f"{index}.png", np.uint8(60 * labels + 20))
        image_io.write_labels(tmp_path / "my" / "labels" / f"{index}.png", labels)
    run, small = tmp_path / "run", ["model.filters=2", "model.depth=1", "training.input_size=34", "training.steps=2"]
    small += ["optimizer.warmup_steps=0", "training.validate_every=2", "model.padding=valid"]
    small += ['data.options={label_kind="classes"}']
    with untrained():
        changes = (part for change in small for part in ("--set", change))
        done("train", "folder", "--data", tmp_path / "my", "--out", run, *changes)
    assert "(--class)" in mistake("tune", run)
    assert "Expected --class among class 1 (1), class 2 (2). Received 'axon'." in mistake(
        "tune", run, "--class", "axon"
    )
    assert "SEG" in done("tune", run, "--class", "1")
    chosen = json.loads((run / "report.json").read_text())["tuned_classes"]["1"]
    done("evaluate", run, "--class", "1", "--json", tmp_path / "a.json")
    told = json.loads((tmp_path / "a.json").read_text())["figures"]
    assert (told["objects"], told["threshold"], told["min_size"]) == (2, chosen["threshold"], chosen["min_size"])
    assert told["seg"] == pytest.approx(chosen["seg"], abs=1e-4)
    assert set(told["iou"]) == {"other", "class 1"}


def test_an_unfinished_run_cannot_be_tuned(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    run.report.unlink()
    with pytest.raises(ConfigError, match="Expected a finished run"):
        save(run, Tuned(InstanceSettings(), 0.5, 0.5, 0.5))


@pytest.mark.slow
def test_a_run_is_tuned_evaluated_and_exported_by_its_choice(tmp_path: Path) -> None:
    run, small = tmp_path / "run", ["model.filters=2", "model.depth=1", "training.input_size=34", "training.steps=4"]
    small += ["optimizer.warmup_steps=0", "data.options={count=4,size=48}", "training.validate_every=2"]
    with untrained():
        done("train", "synthetic", "--out", run, *(part for change in small for part in ("--set", change)))
    said = done("tune", run, "--averaging", "flips")
    assert "Give them --averaging flips too, with which it was chosen." in said
    assert json.loads((run / "report.json").read_text())["tuned"]["averaging"] == "flips"
    assert "Give them" not in done("tune", run)
    chosen = json.loads((run / "report.json").read_text())["tuned"]
    done("evaluate", run, "--metrics", "cells", "--json", tmp_path / "a.json")
    told = json.loads((tmp_path / "a.json").read_text())
    for name in ("threshold", "min_size", "watershed", "depth", "seed_threshold", "expand"):
        assert told["figures"][name] == chosen[name]
    assert told["figures"]["seg"] == pytest.approx(chosen["seg"], abs=1e-4)
    said = done("export", run, tmp_path / "served")
    assert f"Signature instances: {validated_instances(run).in_words()}." in said
    assert validated_instances(tmp_path / "served") == validated_instances(run)
    served = done("evaluate", tmp_path / "served", "--data", written(tmp_path), "--label-kind", "instances")
    assert f"at threshold {chosen['threshold']:g}" in served


def written(folder: Path) -> Path:
    """A labelled image as files."""
    image_io.write_image(folder / "data" / "images" / "a.png", np.where(CELLS > 0, 200, 50).astype(np.uint8))
    image_io.write_labels(folder / "data" / "labels" / "a.png", CELLS)
    return folder / "data"
