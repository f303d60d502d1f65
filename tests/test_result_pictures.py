"""Pictures of results: what is laid beside what, in which colours, under which names."""

from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import done
from helpers.runs import cells

from keras_unet import image_io
from keras_unet.datasets import LabelledImages, Sample
from keras_unet.datasets.label_maps import true_classes, true_objects
from keras_unet.metrics.evaluated_image import Scope, judge
from keras_unet.visualization import overlays
from keras_unet.visualization.result_panels import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    IGNORED,
    result_picture,
    write_pictures,
)

CAPTION, GAP = 28, 6


def panels(picture: np.ndarray, width: int) -> list[np.ndarray]:
    """The panels below their captions, without the gaps between."""
    count = (picture.shape[1] + GAP) // (width + GAP)
    assert picture.shape[1] == count * (width + GAP) - GAP
    return [picture[CAPTION:, place * (width + GAP) : place * (width + GAP) + width] for place in range(count)]


def judged(data: LabelledImages, probability: np.ndarray) -> tuple[list, Scope]:
    images = []
    for sample in data:
        truth = [take(sample.labels, data.kind, data.ignore_label) for take in (true_classes, true_objects)]
        images.append(judge(sample.name, tuple(truth), probability, data.num_classes, data.ignore_label))
    return images, Scope(data.class_names, data.kind)


def test_objects_found_have_the_colours_of_the_truths_they_match() -> None:
    data = cells(1)
    probability = np.where(data[0].labels == 2, 0.9, 0.0)[..., None]
    images, scope = judged(data, probability)
    image, truth, chance, found = panels(result_picture(images[0], scope, data[0].image), 32)
    assert (image == overlays.grey_or_colour(data[0].image)).all()
    assert (truth[15, 22] == found[15, 22]).all()
    assert (truth[15, 22] != image[15, 22]).any()
    assert (truth[15, 8] != image[15, 8]).any()
    assert (found[15, 8] == image[15, 8]).all(), "not found"
    assert chance[15, 20].sum() > chance[15, 8].sum()


def test_of_classes_errors_are_shown_and_what_does_not_count_is_grey() -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[:, 4:], labels[7] = 1, 255
    sample = Sample("membranes.tif, slice 3", np.zeros((8, 8, 1), np.uint8), labels)
    data = LabelledImages((sample,), "classes", 2, ("membrane", "cell"), 255)
    probability = np.zeros((8, 8, 1), np.float32)
    probability[:, 2:6] = 1
    images, scope = judged(data, probability)
    *_, label, chance, errors = panels(result_picture(images[0], scope, sample.image), 8)
    assert tuple(errors[3, 3]) == FALSE_POSITIVE
    assert tuple(errors[3, 7]) == FALSE_NEGATIVE
    assert tuple(errors[7, 3]) == tuple(label[7, 3]) == IGNORED
    assert not errors[3, 5].any()
    assert chance[3, 3].sum() > chance[3, 0].sum()


def test_three_classes_have_a_prediction_in_place_of_a_probability() -> None:
    labels = np.arange(3, dtype=np.int32).repeat(3)[None].repeat(9, axis=0)
    sample = Sample("classes", np.zeros((9, 9, 1), np.uint8), labels)
    data = LabelledImages((sample,), "classes", 3, ("a", "b", "c"), None)
    images, scope = judged(data, np.eye(3, dtype=np.float32)[labels])
    _, label, prediction, errors = panels(result_picture(images[0], scope, sample.image), 9)
    assert (label == prediction).all()
    assert not errors.any()


def test_results_on_disk_are_drawn_without_an_image(tmp_path: Path) -> None:
    for folder, ids in (("truth", [[1, 1, 0, 2, 2]] * 3), ("found", [[7, 7, 0, 0, 3]] * 3)):
        (tmp_path / folder).mkdir()
        image_io.write_labels(tmp_path / folder / "t0.tif", np.array(ids, np.int32))
    arguments = (tmp_path / "found", "--truth", tmp_path / "truth", "--pictures", tmp_path / "pictures")
    done("evaluate", *arguments, "--label-kind", "instances")
    drawn = image_io.read_image(tmp_path / "pictures" / "000_t0.png")
    truth, found = panels(drawn, 5) if drawn.shape[1] == 2 * 5 + GAP else []
    assert (truth[:, :2] == found[:, :2]).all()
    assert truth[:, :2].any()
    assert not found[:, 3].any()


def test_files_are_numbered_and_named_after_the_images(tmp_path: Path) -> None:
    data = cells(2)
    images, scope = judged(data, np.full((32, 32, 1), 0.9, np.float32))
    written = write_pictures(tmp_path / "pictures", images, scope, [sample.image for sample in data])
    assert [path.name for path in written] == ["000_cells_0.png", "001_cells_1.png"]
    assert image_io.read_image(written[1]).shape == (32 + CAPTION, 4 * 32 + 3 * GAP, 3)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a/b/../c.png", "000_c.png"),
        ("train/volume.tif, page 20", "000_volume_page_20.png"),
        ("übel?.tif", "000__bel_.png"),
    ],
)
def test_names_of_files_have_no_folders_endings_or_odd_signs(name: str, file: str, tmp_path: Path) -> None:
    data = cells(1)
    renamed = LabelledImages((Sample(name, data[0].image, data[0].labels),), "instances", 2, data.class_names, None)
    images, scope = judged(renamed, np.zeros((32, 32, 1), np.float32))
    (written,) = write_pictures(tmp_path, images, scope)
    assert written == tmp_path / file
    assert written.is_file()
