"""Pictures of the report: errors drawn by hand, and predictions of more than two classes."""

from pathlib import Path

import numpy as np
from helpers.runs import quiet, tiny
from helpers.stub_training import untrained
from PIL import Image
from test_report import report

from keras_unet import training
from keras_unet.metrics.evaluated_image import judge
from keras_unet.visualization.result_panels import FALSE_NEGATIVE, FALSE_POSITIVE, WRONG_CLASS, error_picture


def test_errors_are_marked_where_result_and_truth_differ_and_count() -> None:
    truth = np.array([[0, 0, 1, 1, 1, 255]], np.int32)
    found = np.array([[0, 1, 1, 0, 2, 1]], np.int64)
    image = judge("drawn", (truth, truth), found, 3, 255)
    drawn = error_picture(np.full((1, 6, 1), 200, np.uint8), image)[0].tolist()
    assert [tuple(drawn[place]) for place in (1, 3, 4)] == [FALSE_POSITIVE, FALSE_NEGATIVE, WRONG_CLASS]
    assert drawn[0] == drawn[2]
    assert len(set(drawn[0])) == len(set(drawn[5])) == 1, "grey"


def test_a_run_of_three_classes_shows_classes_and_what_does_not_count(tmp_path: Path) -> None:
    labels = np.zeros((40, 600), np.uint8)
    labels[8:20, 5:200], labels[24:36, 5:200], labels[:4] = 1, 2, 9
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 40, labels.shape)
        for part, pixels in (("images", 80 * (labels % 9) + noise), ("labels", labels)):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / part / f"{number}.png")
    options = {"label_kind": "classes", "ignore_label": 9}
    config = tiny(data_name="folder", data_path=str(tmp_path / "data"), data_options=options, training_monitor="loss")
    with untrained():
        training.run(config, tmp_path / "run", say=quiet)
    page, lacks = report(tmp_path, tmp_path / "run")
    assert lacks == []
    assert "prediction, darker where less probable" in page.text
    assert "Worst images by mean IoU" in page.text, "the loss is of tiles alone"
    assert "another class" in page.text
    assert "does not count" in page.text
    assert [picture.size for picture in page.pictures()] == [(512, 34)] * 5
    label, errors = (np.asarray(page.pictures()[place].convert("RGB")) for place in (1, 4))
    assert (label[0] == 128).all()
    assert (errors[0] == 128).all()
