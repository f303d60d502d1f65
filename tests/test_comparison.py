"""Results on disk against their truth, as `keras-unet evaluate RESULTS --truth LABELS` reads them."""

from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import done
from helpers.image_files import save

from keras_unet import image_io
from keras_unet.commands.comparison import compare
from keras_unet.instances.instance_settings import InstanceSettings
from keras_unet.metrics.computed_metrics import figures
from keras_unet.metrics.registry import Figures

CELLS = np.zeros((20, 24), np.uint8)
CELLS[2:9, 2:9], CELLS[11:18, 12:20] = 1, 2


def of(results: Path, truth: Path, metrics: list[str] | None = None, **options: object) -> Figures:
    images, scope, _ = compare(results, truth, InstanceSettings(), **options)  # type: ignore[arg-type]
    return figures(images, scope, metrics)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        save(tmp_path / "truth" / f"{name}.png", 255 * (CELLS > 0).astype(np.uint8))
    return tmp_path / "truth"


def test_masks_of_255_and_of_1_are_the_same_classes(tmp_path: Path, truth: Path) -> None:
    save(tmp_path / "out" / "a_mask.png", (CELLS > 0).astype(np.uint8))
    save(tmp_path / "out" / "b_mask.png", (CELLS == 1).astype(np.uint8))
    found = of(tmp_path / "out", truth, ["recall"])
    assert found["recall"]["foreground"] == pytest.approx((49 + 56 + 49) / (2 * (49 + 56)))


def test_floats_are_probabilities_and_integers_are_if_told(tmp_path: Path, truth: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "float" / f"{name}.tif", np.where(CELLS > 0, 0.4, 0.1).astype(np.float32))
        save(tmp_path / "grey" / f"{name}.png", np.where(CELLS > 0, 102, 25).astype(np.uint8))
    assert of(tmp_path / "float", truth, ["auc", "pixel_error"])["auc"] == 1
    assert of(tmp_path / "grey", truth, ["auc"], result_kind="probabilities")["auc"] == 1


def test_a_stack_is_laid_beside_a_file_for_each_page(tmp_path: Path, truth: Path) -> None:
    save(tmp_path / "stack.tif", np.stack([CELLS > 0, CELLS == 1]).astype(np.uint8))
    assert of(tmp_path / "stack.tif", truth)["images"] == 2


def test_of_what_predict_writes_the_instances_are_taken_for_instances_else_probabilities(tmp_path: Path) -> None:
    out = tmp_path / "out"
    image_io.write_labels(tmp_path / "ids" / "x1.tif", CELLS)
    image_io.write_labels(out / "x1_labels.png", 0 * CELLS)
    image_io.write_labels(out / "x1_instances.tif", CELLS)
    image_io.write_image(out / "x1_overlay.png", np.zeros((20, 24, 3), np.uint8))
    mask = (CELLS > 0).astype(np.float32)
    image_io.write_probabilities(out / "x1_probabilities.tif", np.stack([1 - mask, mask], -1))
    found = of(out, tmp_path / "ids", ["cells"], label_kind="instances")
    assert (found["seg"], found["det"], found["objects_found"]) == (1, 1, 2)
    assert "threshold" not in found, "the objects were told apart elsewhere"
    binary = of(out, tmp_path / "ids", ["auc"], label_kind="binary")
    assert binary["auc"] == 1


def test_a_mask_for_a_truth_of_instances_has_its_components_for_objects(tmp_path: Path) -> None:
    image_io.write_labels(tmp_path / "ids" / "x1.tif", CELLS)
    image_io.write_labels(tmp_path / "out" / "x1.tif", CELLS > 0)
    assert of(tmp_path / "out", tmp_path / "ids", ["seg"], label_kind="instances")["objects_found"] == 2


def test_ignored_pixels_of_the_truth_are_left_out(tmp_path: Path) -> None:
    image_io.write_labels(tmp_path / "truth" / "x.tif", np.where(CELLS == 2, 7, CELLS))
    image_io.write_labels(tmp_path / "out" / "x.tif", CELLS == 1)
    found = of(tmp_path / "out", tmp_path / "truth", ["iou"], ignore_label=7)
    assert (found["pixels"], found["iou"]["foreground"]) == (20 * 24 - 56, 1)


def test_frames_that_nobody_labelled_are_left_out_and_told(tmp_path: Path) -> None:
    for frame in range(3):
        save(tmp_path / "results" / f"mask00{frame}.tif", CELLS.astype(np.uint16) if frame == 1 else 0 * CELLS)
    save(tmp_path / "truth" / "man_seg001.tif", CELLS.astype(np.uint16) * 5)
    images, scope, notes = compare(tmp_path / "results", tmp_path / "truth", InstanceSettings(), label_kind="instances")
    assert figures(images, scope, ["seg"])["seg"] == 1
    assert notes[-1] == "2 of 3 results have no truth and are left out."
    *_, notes_of_ids = compare(tmp_path / "results", tmp_path / "truth", InstanceSettings(0.3), label_kind="instances")
    assert "thresholds, smallest size and watershed change nothing" in " ".join(notes_of_ids)
    assert "change nothing" not in " ".join(notes)
    assert notes[-2].endswith("results/mask001.tif beside " + str(tmp_path / "truth/man_seg001.tif") + " and so on.")
    save(tmp_path / "truth" / "man_seg007.tif", CELLS)
    with pytest.raises(ValueError, match="truth/man_seg007.tif: expected truth and results in pairs of like names"):
        of(tmp_path / "results", tmp_path / "truth", label_kind="instances")
    (tmp_path / "truth" / "man_seg007.tif").unlink()
    save(tmp_path / "results" / "mask1.tif", CELLS)
    with pytest.raises(ValueError, match="expected one file of a name on each side. Received mask0*1.tif too"):
        of(tmp_path / "results", tmp_path / "truth", label_kind="instances")


def test_a_stack_has_a_page_for_each_file_of_the_other_side(tmp_path: Path, truth: Path) -> None:
    save(tmp_path / "stack4.tif", np.stack([CELLS] * 5))
    with pytest.raises(ValueError, match="stack4.tif: expected as many pages as the 2 files of .* have, 2. Received 5"):
        of(tmp_path / "stack4.tif", truth)


def test_what_does_not_go_together_names_the_file(tmp_path: Path, truth: Path) -> None:
    good, out = (CELLS > 0).astype(np.uint8), tmp_path / "out"
    save(out / "a.png", good)
    with pytest.raises(ValueError, match=r"truth/b.png: expected truth and results .* 2 truth files .* 1 result file"):
        of(out, truth)
    save(out / "b.png", good[:-1])
    with pytest.raises(ValueError, match=r"out/b.png: expected the size of .*b.png, 20 x 24 .* Received 19 x 24"):
        of(out, truth)
    with pytest.raises(FileNotFoundError, match=r"nowhere', which does not exist"):
        of(tmp_path / "nowhere", truth)


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.where(CELLS > 0, np.nan, 0.0).astype(np.float32), "NaN"),
        (np.where(CELLS > 0, 1.5, 0.0).astype(np.float32), r"in \[0, 1\]"),
        (-(CELLS > 0).astype(np.int16), "expected labels from 0. Received -1"),
        (np.zeros((20, 24, 5), np.float32), "Received 5|stack of 20|pages"),
    ],
)
def test_a_bad_result_is_named(tmp_path: Path, pixels: np.ndarray, sentence: str) -> None:
    save(tmp_path / "truth" / "x.png", 255 * (CELLS > 0).astype(np.uint8))
    save(tmp_path / "out" / "x.tif", pixels)
    with pytest.raises(ValueError, match=rf"out/x.tif.*({sentence})"):
        of(tmp_path / "out", tmp_path / "truth")


def test_a_truth_of_floats_or_without_objects_is_named(tmp_path: Path) -> None:
    save(tmp_path / "out" / "x.tif", CELLS)
    save(tmp_path / "truth" / "x.tif", CELLS.astype(np.float32))
    with pytest.raises(ValueError, match=r"truth/x.tif: expected labels that are integers"):
        of(tmp_path / "out", tmp_path / "truth")
    save(tmp_path / "truth" / "x.tif", 0 * CELLS)
    with pytest.raises(ValueError, match=r"truth/x.tif: expected labels of some object"):
        of(tmp_path / "out", tmp_path / "truth")


def test_the_command_prints_the_figures_and_writes_them_of_each_image(tmp_path: Path, truth: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "out" / f"{name}.png", (CELLS > 0).astype(np.uint8))
    table = tmp_path / "figures" / "a.csv"
    assert "V_rand 1.0000" in done("evaluate", tmp_path / "out", "--truth", truth, "--csv", table)
    assert len(table.read_text().splitlines()) == 4


def test_one_object_in_pieces_leaves_ids_what_they_are(tmp_path: Path) -> None:
    pieces = np.where(CELLS > 0, 1, 0).astype(np.uint16)
    for name, result in (("a", CELLS), ("b", pieces)):
        save(tmp_path / "truth" / f"{name}.tif", CELLS.astype(np.uint16))
        save(tmp_path / "out" / f"{name}.tif", result.astype(np.uint16))
    found = of(tmp_path / "out", tmp_path / "truth", ["seg"], label_kind="instances")
    # One object of both cells, 49 and 56 pixels, has more than half of each, so it is scored for each.
    assert found["objects_found"] == 3
    assert found["seg"] == pytest.approx((1 + 1 + 49 / 105 + 56 / 105) / 4)


def test_ids_too_large_to_keep_apart_are_refused_with_the_file(tmp_path: Path) -> None:
    save(tmp_path / "truth.tif", CELLS.astype(np.uint64) + np.uint64(2**32) * (CELLS == 2).astype(np.uint64))
    save(tmp_path / "out.tif", CELLS)
    with pytest.raises(ValueError, match=r"truth.tif: expected object ids in 0 to 16777215. Received 4294967298"):
        of(tmp_path / "out.tif", tmp_path / "truth.tif", label_kind="instances")


@pytest.mark.parametrize("ignored", [2**31, -(2**31) - 1, 10**20])
def test_an_ignored_label_beyond_all_labels_is_refused(ignored: int, tmp_path: Path, truth: Path) -> None:
    with pytest.raises(ValueError, match=f"Expected ignore_label in .* Received {ignored}"):
        of(truth, truth, ignore_label=ignored)


def test_any_part_of_a_path_may_be_a_pattern(tmp_path: Path, truth: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"run-{name}" / f"{name}.png", CELLS)
    assert of(tmp_path / "run-*" / "?.png", truth)["images"] == 2


def test_brackets_of_a_folder_are_part_of_its_name(tmp_path: Path, truth: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "results [1]" / f"{name}.png", CELLS)
    assert of(tmp_path / "results [1]" / "?.png", truth)["images"] == 2
