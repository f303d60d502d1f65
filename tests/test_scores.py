"""Scores of segmented images: counted by hand on drawn images, and against independent programs."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import directed_hausdorff

from keras_unet.metrics import salient, scores

# Truth of 4 cell pixels, result of 3, 2 of them right.
TRUTH = np.array([[1, 1, 1, 1, 0, 0]])
RESULT = np.array([[1, 1, 0, 0, 1, 0]])


def test_overlap_of_one_image_counted_by_hand() -> None:
    assert scores.iou(TRUTH, RESULT) == pytest.approx(2 / 5)
    assert scores.dice(TRUTH, RESULT) == scores.f1(TRUTH, RESULT) == pytest.approx(4 / 7)
    assert scores.precision(TRUTH, RESULT) == pytest.approx(2 / 3)
    assert scores.recall(TRUTH, RESULT) == pytest.approx(2 / 4)


def test_dice_of_a_data_set_pools_pixels_and_dice_per_image_does_not() -> None:
    small_truth, small_result = np.array([[1], [0]]), np.array([[1], [0]])
    truth, result = [TRUTH, small_truth], [RESULT, small_result]
    assert scores.dice(truth, result) == pytest.approx(2 * 3 / (5 + 4))
    np.testing.assert_allclose(scores.dice_per_image(truth, result), [4 / 7, 1])


def test_ignored_pixels_do_not_count_whatever_the_result_says() -> None:
    truth = np.where(np.arange(6) >= 4, 255, TRUTH)  # the false alarm is ignored
    assert scores.precision(truth, RESULT, ignore_label=255) == 1
    assert scores.overlap(np.where(truth == 255, -1, truth), RESULT, ignore_label=-1) == (2, 4, 2)


def test_a_class_in_neither_has_no_score_and_precision_of_nothing_has_none() -> None:
    nothing = np.zeros((2, 3), int)
    assert np.isnan(scores.iou(nothing, nothing))
    assert np.isnan(scores.dice_per_image([nothing], [nothing])).all()
    assert np.isnan(scores.precision(TRUTH, 0 * RESULT))
    assert scores.dice(TRUTH, 0 * RESULT) == 0


def test_scores_agree_with_scikit_learn_on_random_classes() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth, result = rng.integers(0, 4, (2, 3, 17, 11))
    flat = {"y_true": truth.ravel(), "y_pred": result.ravel(), "labels": [2], "average": "macro"}
    assert scores.precision(truth, result, 2) == pytest.approx(metrics.precision_score(**flat))
    assert scores.recall(truth, result, 2) == pytest.approx(metrics.recall_score(**flat))
    assert scores.f1(truth, result, 2) == pytest.approx(metrics.f1_score(**flat))
    assert scores.iou(truth, result, 2) == pytest.approx(metrics.jaccard_score(**flat))
    matrix = scores.confusion_matrix(truth[0], result[0], 4)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(truth[0].ravel(), result[0].ravel()))


def test_auc_counts_ties_one_half() -> None:
    """Foreground 0.9 and 0.4 against background 0.4 and 0.1: of four pairs three are right and one is tied."""
    assert scores.auc([[[1, 1, 0, 0]]], [[[0.9, 0.4, 0.4, 0.1]]]) == 3.5 / 4


def test_auc_is_pooled_over_images_of_different_sizes_and_leaves_out_ignored_pixels() -> None:
    truth = [np.array([[1, 0, 255]]), np.array([[1], [0]])]
    probability = [np.array([[0.9, 0.5, 0.0]]), np.array([[0.4], [0.1]])]
    assert scores.auc(truth, probability, ignore_label=255) == 3 / 4


@settings(max_examples=30)
@given(
    arrays(np.int32, (4, 5), elements=st.integers(0, 1)),
    arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=16)),
)
def test_auc_agrees_with_scikit_learn(truth: np.ndarray, probability: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth.flat[:2] = 0, 1
    assert scores.auc(truth, probability) == pytest.approx(metrics.roc_auc_score(truth.ravel(), probability.ravel()))


@pytest.mark.parametrize(("fill", "word"), [(0, "only background"), (1, "only foreground"), (255, "no pixel")])
def test_auc_of_one_kind_of_pixels_is_refused(fill: int, word: str) -> None:
    with pytest.raises(ValueError, match=f"foreground and background for AUC. Received {word}"):
        scores.auc(np.full((2, 2), fill), np.zeros((2, 2)), ignore_label=255)


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    plane = np.zeros((30, 40), int)
    plane[top : top + height, left : left + width] = 1
    return plane


def test_hausdorff_of_a_moved_square_is_the_way_it_moved() -> None:
    assert scores.hausdorff(rectangle(5, 5, 8, 8), rectangle(5, 12, 8, 8), percentile=100) == 7


def test_hausdorff_95_forgets_a_far_speck_and_the_whole_distance_does_not() -> None:
    """One pixel 20 columns to the right is 1 of 53 boundary pixels, below the 5 % that are left out."""
    square, speck = rectangle(5, 5, 14, 14), rectangle(10, 38, 1, 1)
    assert scores.hausdorff(square, square + speck) == 0
    assert scores.hausdorff(square, square + speck, percentile=100) == 20
    assert scores.hausdorff(square + speck, square, percentile=100) == 20, "the larger of the two directions"


def test_hausdorff_takes_the_percentile_of_each_direction_by_linear_interpolation() -> None:
    """Distances 0, 1, 2, 3 of a line to its first pixel: 95 % lie at 2.85; the other way the distance is 0."""
    line, first = rectangle(0, 0, 1, 4), rectangle(0, 0, 1, 1)
    assert scores.hausdorff(line, first) == pytest.approx(2.85)
    assert scores.hausdorff(first, line) == pytest.approx(2.85)


def test_the_image_s_edge_is_a_boundary() -> None:
    """Ones all over against a dot in the corner: the corner across is a boundary pixel."""
    whole, dot = np.ones((4, 5), int), np.zeros((4, 5), int)
    dot[0, 0] = 1
    assert scores.hausdorff(whole, dot, percentile=100) == 5


def test_hausdorff_agrees_with_scipy_on_the_boundaries_of_blobs() -> None:
    rng = np.random.default_rng(3)
    truth, result = (rng.random((2, 20, 24)) < 0.2).astype(int)
    points = []
    for plane in (truth, result):
        padded = np.pad(plane, 1)
        around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        points.append(np.argwhere((plane == 1) & (around < 4)))
    expected = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
    assert scores.hausdorff(truth, result, percentile=100) == pytest.approx(expected)


def test_hausdorff_is_endless_where_one_lacks_the_class_and_undefined_where_both_do() -> None:
    nothing = np.zeros((30, 40), int)
    assert scores.hausdorff(rectangle(1, 1, 2, 2), nothing) == np.inf
    assert scores.hausdorff(nothing, rectangle(1, 1, 2, 2)) == np.inf
    assert np.isnan(scores.hausdorff(nothing, nothing))


def test_hausdorff_leaves_ignored_pixels_out_of_both() -> None:
    truth = rectangle(5, 5, 4, 4) + 255 * rectangle(20, 20, 5, 5)
    assert scores.hausdorff(truth, rectangle(5, 5, 4, 4) + rectangle(21, 21, 2, 2), ignore_label=255) == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: scores.iou(TRUTH, RESULT[:, :5]), r"of one shape. Received \(1, 6\) and \(1, 5\)"),
        (lambda: scores.iou([TRUTH], [RESULT, RESULT]), "as many result frames"),
        (lambda: scores.iou(-TRUTH, RESULT), "truth of labels from 0 on. Received -1"),
        (lambda: scores.iou(TRUTH, RESULT * 1.0), "result of integer labels. Received float64"),
        (lambda: scores.auc(TRUTH, RESULT * np.nan), "without NaN"),
        (lambda: scores.auc(TRUTH, RESULT * 1.5), r"in \[0, 1\]"),
        (lambda: scores.hausdorff(TRUTH, RESULT, percentile=0), "percentile"),
        (lambda: scores.confusion_matrix(TRUTH, RESULT * 3, 2), "classes 0 to 1 in the result. Received 3"),
        (lambda: salient.salient_scores(TRUTH, RESULT, ["s-measure"]), "Received 's-measure'"),
    ],
)
def test_what_cannot_be_scored_is_told_in_a_sentence(call, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=sentence):
        call()


def test_salient_scores_of_a_perfect_result() -> None:
    """The authors' E-measure divides by one pixel less than there are, so that perfect is above 1."""
    pytest.importorskip("py_sod_metrics")
    truth = rectangle(5, 5, 10, 12)
    found = salient.salient_scores(truth, truth.astype(np.float32))
    assert list(found) == list(salient.MEASURES)
    assert found == pytest.approx(
        {
            "s_measure": 1,
            "max_e": 1200 / 1199,
            "mean_e": found["mean_e"],
            "max_f": 1,
            "weighted_f": 1,
            "mae": 0,
            "hce": 0,
        }
    )


def test_salient_scores_take_probabilities_as_they_are() -> None:
    """An all-foreground truth has the mean probability for S; stretched to [0, 1] it would be another."""
    pytest.importorskip("py_sod_metrics")
    probability = np.full((4, 4), 0.5, np.float32)
    probability[0] = 0.7
    found = salient.salient_scores(np.ones((4, 4), int), probability, ["s_measure", "mae"])
    assert found == pytest.approx({"s_measure": 0.55, "mae": 0.45})


def test_max_f_is_the_best_threshold_of_the_curve_averaged_over_images() -> None:
    """Truth 2 of 4 pixels. At 0.8 up: precision 1, recall 1/2, F = 1.3 * .5 / (.3 + .5) = 0.8125; at 0.4 up:
    precision 2/3, recall 1, F = 1.3 * 2/3 / (0.2 + 1) = 0.7222."""
    pytest.importorskip("py_sod_metrics")
    truth, probability = np.array([[1, 1], [0, 0]]), np.array([[0.8, 0.4], [0.4, 0.0]])
    assert salient.salient_scores(truth, probability, ["max_f"]) == pytest.approx({"max_f": 0.8125})


def test_without_the_extra_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_sod_metrics", None)
    with pytest.raises(ValueError, match=r"pip install 'keras-unet\[salient\]'"):
        salient.salient_scores(TRUTH, RESULT)
