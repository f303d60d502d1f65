"""Figures chosen by name, of one image and of all: worked out by hand on drawn images; and what does not fit."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from keras_unet.datasets.label_maps import true_classes, true_objects
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.metrics.computed_metrics import check_metrics, chosen_metrics, figures, figures_by_image
from keras_unet.metrics.evaluated_image import JudgedImage, Scope, judge
from keras_unet.metrics.registry import DEFAULT, GROUPS, METRICS
from keras_unet.metrics.tables import flat, format_table, title, write_csv, write_json

CELLS = Scope(("background", "cell"), "classes")
OBJECTS = Scope(("background", "cell"), "instances")


def judged(labels: list, cell: list, kind: str = "classes", ignore: int | None = None, name: str = "a") -> JudgedImage:
    """An image of two classes with its probability of foreground."""
    plane, chance = np.array(labels, np.int32), np.array(cell, np.float32)
    truth = true_classes(plane, kind, ignore), true_objects(plane, kind, ignore)
    return judge(name, truth, chance[..., None], 2, ignore)


FIRST = judged([[1, 1, 1, 1, 0, 0]], [[0.9, 0.9, 0.2, 0.2, 0.8, 0.1]], name="first")
SECOND = judged([[0], [1]], [[0.1], [0.7]], name="second")


def test_every_metric_belongs_to_one_group_and_defaults_are_metrics() -> None:
    members = [name for group in GROUPS.values() for name in group]
    assert sorted(members) == sorted(METRICS)
    assert set(DEFAULT) <= set(METRICS)


def test_overlap_of_two_images_pools_pixels_and_per_image_does_not() -> None:
    """Cell: 2 right of 4 true and 3 found, then 1 of 1 and 1."""
    found = figures([FIRST, SECOND], CELLS, ["overlap"])
    assert found["precision"]["cell"] == pytest.approx(3 / 4)
    assert found["recall"]["cell"] == pytest.approx(3 / 5)
    assert found["f1"]["cell"] == found["dice"]["cell"] == pytest.approx(6 / 9)
    assert found["dice_per_image"]["cell"] == pytest.approx((4 / 7 + 1) / 2)
    # 15 pairs: 0.9, 0.9, 0.7 beat 0.1, 0.1 and 0.9 beats 0.8; 0.2, 0.2 beat 0.1, 0.1: 2*3 + 2*2 + 1*2.
    assert found["auc"] == pytest.approx((6 + 4 + 2) / 15)


def test_figures_of_an_image_are_those_of_a_data_set_of_it_alone() -> None:
    by_image = figures_by_image([FIRST, SECOND], CELLS, ["iou", "pixel_error"])
    assert by_image["first"]["iou"]["cell"] == pytest.approx(2 / 5)
    assert by_image["second"] == figures([SECOND], CELLS, ["iou", "pixel_error"])


def test_warping_error_is_over_the_pixels_of_the_images_not_of_the_larger_stack() -> None:
    """A membrane cut in the middle of 21 pixels merges two cells: one pixel of the known answer, of 21 + 1."""
    truth = np.ones((3, 7), int)
    truth[:, 3] = 0
    cut = truth.copy()
    cut[1, 3] = 1
    images = [judged(truth.tolist(), cut.tolist(), name="cut"), judged([[1]], [[1]], name="dot")]
    assert figures(images, CELLS, ["warping_error"])["warping_error"] == pytest.approx(1 / 22)


def test_hausdorff_is_the_mean_over_images_that_have_the_class_in_both() -> None:
    moved = judged([[1, 0, 0, 0]], [[0, 0, 0, 1]])
    right = judged([[0, 1, 0, 0]], [[0, 1, 0, 0]])
    missed = judged([[0, 1, 0, 0]], [[0, 0, 0, 0]])
    found = figures([moved, right, missed], CELLS, ["boundary"])
    assert found["hausdorff95"] == {"cell": 1.5}
    assert found["hausdorff95_missing"] == 1
    assert "HD95 leaves out 1" in format_table(found)


def test_seg_and_det_follow_the_settings_of_objects() -> None:
    """Two cells joined by a narrow bridge are one component, which a higher threshold or the watershed parts."""
    labels = np.zeros((9, 19), int)
    labels[1:8, 1:8], labels[1:8, 11:18] = 1, 2
    chance = (labels > 0).astype(float)
    chance[3:5, 8:11] = 0.6
    image = judged(labels.tolist(), chance.tolist(), "instances")
    merged = figures([image], OBJECTS, ["cells"])
    assert (merged["objects"], merged["objects_found"]) == (2, 1)
    assert merged["det"] == pytest.approx(1 - 5 / 20), "one object that finds both is split at a cost of 5"
    apart = Scope(OBJECTS.class_names, "instances", True, InstanceSettings(threshold=0.7))
    assert figures([image], apart, ["seg"])["objects_found"] == 2
    by_watershed = Scope(OBJECTS.class_names, "instances", True, InstanceSettings(watershed=True))
    assert figures([image], by_watershed, ["det"])["det"] == 1


def test_salient_scores_by_name() -> None:
    pytest.importorskip("py_sod_metrics")
    found = figures([FIRST], CELLS, ["mae"])
    assert found["mae"] == pytest.approx((0.1 + 0.1 + 0.8 + 0.8 + 0.8 + 0.1) / 6)
    assert "MAE 0.4500" in format_table(found)


@pytest.mark.parametrize(
    ("scope", "metrics", "sentence"),
    [
        (CELLS, ["seg"], "Expected a truth of instance ids for seg. Received classes"),
        (CELLS, ["cells"], "Expected a truth of instance ids for cells"),
        (Scope(("a", "b", "c"), "classes"), ["v_rand"], "Expected data of two classes for v_rand. Received 3 classes"),
        (Scope(("a", "b"), "classes", False), ["auc"], "Expected results that are probabilities for auc"),
        (CELLS, ["v_ran"], "Received 'v_ran'. Did you mean 'v_rand'?"),
    ],
)
def test_a_metric_that_does_not_fit_is_told(scope: Scope, metrics: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        chosen_metrics(metrics, scope)


def test_of_a_group_what_fits_is_taken() -> None:
    assert "auc" not in chosen_metrics(["overlap"], Scope(("a", "b", "c"), "classes"))
    assert chosen_metrics(["em", "v_rand"], CELLS) == GROUPS["em"]
    check_metrics([*GROUPS, *METRICS])


@pytest.mark.parametrize("metric", ["auc", "v_info", "warping_error", "hausdorff95"])
def test_without_any_object_a_metric_asked_for_is_refused_and_of_one_image_is_none(metric: str) -> None:
    empty = judged([[0, 0]], [[0.1, 0.1]], name="empty")
    with pytest.raises(ValueError, match=f"at least one object for {metric}"):
        figures([empty], CELLS, [metric])
    by_image = figures_by_image([empty, SECOND], CELLS, [metric])
    value = by_image["empty"][metric]
    assert value in (None, {"cell": None})


def test_salient_scores_refuse_ignored_pixels() -> None:
    with pytest.raises(ValueError, match="Expected no ignored pixels for mae"):
        figures([judged([[1, 0, 255]], [[1, 0, 0]], ignore=255)], CELLS, ["mae"])


def test_files_have_a_row_for_each_image_and_one_for_all(tmp_path: Path) -> None:
    images, names = [FIRST, SECOND], ["iou", "v_rand"]
    whole, by_image = figures(images, CELLS, names), figures_by_image(images, CELLS, names)
    write_csv(tmp_path / "a.csv", whole, by_image)
    write_json(tmp_path / "a.json", whole, by_image)
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["first", "second", "all images"]
    assert [float(row["iou.cell"]) for row in rows] == pytest.approx([2 / 5, 1, 3 / 6])
    assert json.loads((tmp_path / "a.json").read_text()) == {"figures": whole, "by_image": by_image}


def test_probabilities_of_nan_are_refused_whatever_is_asked() -> None:
    chance = np.full((1, 2, 3), np.nan, np.float32)
    with pytest.raises(ValueError, match="three: expected probabilities. Received NaN"):
        judge("three", (np.zeros((1, 2), np.int32),) * 2, chance, 3)


def test_figures_are_called_as_in_the_table_of_evaluate() -> None:
    figures = flat({"mean_iou": 1, "iou": {"cell": 1}, "v_rand_split": 1, "seg": 1, "touching_pairs": 1})
    assert [title(name) for name in figures] == ["mean IoU", "IoU, cell", "V_rand split", "SEG", "touching pairs"]
