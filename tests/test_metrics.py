import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unet.losses.weighted_crossentropy import WeightedCrossentropy
from keras_unet.metrics.keras_metrics import DiceCoefficient, IoU, MeanDice, MeanIoU, PixelAccuracy
from keras_unet.metrics.scores import class_scores, pixel_accuracy

# Worked out by hand. Ten pixels of truth 0 0 0 0 0 1 1 1 2 2, result 0 0 0 1 2 1 1 0 2 2.
TRUTH = np.array([[[0, 0, 0, 0, 0], [1, 1, 1, 2, 2]]])
RESULT = np.array([[[0, 0, 0, 1, 2], [1, 1, 0, 2, 2]]])
MATRIX = [[3, 1, 1], [1, 2, 0], [0, 0, 2]]
IOU = [3 / 6, 2 / 4, 2 / 3]
DICE = [6 / 9, 4 / 6, 4 / 5]


def logits_of(result, num_classes):
    """Logits whose class is `result`."""
    if num_classes == 1:
        return np.where(result, 0.5, -0.5).astype(np.float32)[..., None]
    return np.eye(num_classes, dtype=np.float32)[result]


def every_metric(num_classes, **arguments):
    return [
        PixelAccuracy(num_classes, **arguments),
        MeanIoU(num_classes, **arguments),
        MeanDice(num_classes, **arguments),
        IoU(num_classes, class_index=0, **arguments),
        DiceCoefficient(num_classes, class_index=1, **arguments),
    ]


def scores_after(metrics, *batches):
    for truth, logits in batches:
        for metric in metrics:
            metric.update_state(truth, logits)
    return [float(metric.result()) for metric in metrics]


def test_scores_of_ten_pixels_counted_by_hand():
    metrics = every_metric(3)
    scores = scores_after(metrics, (TRUTH, logits_of(RESULT, 3)))
    assert scores == pytest.approx([7 / 10, sum(IOU) / 3, sum(DICE) / 3, IOU[0], DICE[1]])
    np.testing.assert_array_equal(metrics[0].confusion_matrix, MATRIX)


def test_class_scores_of_a_matrix_counted_by_hand():
    scores = class_scores(MATRIX)
    np.testing.assert_allclose(scores.iou, IOU)
    np.testing.assert_allclose(scores.dice, DICE)
    np.testing.assert_allclose(scores.recall, [3 / 5, 2 / 3, 1])
    np.testing.assert_allclose(scores.precision, [3 / 4, 2 / 3, 2 / 3])
    assert pixel_accuracy(MATRIX) == pytest.approx(7 / 10)


def test_one_logit_is_foreground_above_zero():
    truth = np.array([[[0, 0, 1, 1]]])
    logits = np.array([[[0.0, 0.1, 0.1, -3.0]]], np.float32)[..., None]
    metrics = every_metric(1)
    scores = scores_after(metrics, (truth, logits))
    np.testing.assert_array_equal(metrics[0].confusion_matrix, [[1, 1], [1, 1]])
    assert scores == pytest.approx([1 / 2, 1 / 3, 1 / 2, 1 / 3, 1 / 2])


def test_batches_add_up_to_one_data_set_and_are_not_averaged():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (6, 7, 5))
    truth[:3] = 0  # images of one class, where a mean over images would differ
    logits = rng.normal(size=(6, 7, 5, 4)).astype(np.float32)
    batches = [(truth[i:j], logits[i:j]) for i, j in ((0, 1), (1, 4), (4, 6))]
    assert scores_after(every_metric(4), *batches) == scores_after(every_metric(4), (truth, logits))


def test_ignored_pixels_are_left_out():
    truth = np.concatenate([TRUTH, np.full_like(TRUTH, 255)])
    logits = np.concatenate([logits_of(RESULT, 3), logits_of(1 - (RESULT == 1), 3)])
    expected = scores_after(every_metric(3), (TRUTH, logits_of(RESULT, 3)))
    assert scores_after(every_metric(3, ignore_label=255), (truth, logits)) == expected


def test_an_ignored_class_is_left_out():
    # Without truth 0 the result's false alarms on it are gone too: rows 1 and 2 of the matrix remain.
    metric = MeanIoU(3, ignore_label=0)
    metric.update_state(TRUTH, logits_of(RESULT, 3))
    assert float(metric.result()) == pytest.approx((0 / 1 + 2 / 3 + 2 / 2) / 3)


def test_a_class_in_neither_truth_nor_result_is_left_out_of_means():
    scores = scores_after([MeanIoU(5), MeanDice(5), IoU(5, class_index=4)], (TRUTH, logits_of(RESULT, 5)))
    assert scores[:2] == pytest.approx([sum(IOU) / 3, sum(DICE) / 3])
    assert np.isnan(scores[2])
    padded = np.pad(MATRIX, (0, 2))
    assert np.isnan(class_scores(padded).iou[3:]).all()
    assert np.nanmean(class_scores(padded).iou) == pytest.approx(sum(IOU) / 3)


def test_a_class_only_in_the_result_has_zero_and_counts():
    metric = MeanIoU(2)
    metric.update_state(np.zeros((1, 1, 4), int), logits_of(np.array([[[0, 0, 0, 1]]]), 2))
    assert float(metric.result()) == pytest.approx((3 / 4 + 0) / 2)


def test_pixels_count_alike_whatever_their_weight():
    plain, weighted = MeanIoU(3), MeanIoU(3)
    plain.update_state(TRUTH, logits_of(RESULT, 3))
    weighted.update_state(TRUTH, logits_of(RESULT, 3), sample_weight=np.arange(1, 11).reshape(1, 2, 5))
    assert float(plain.result()) == float(weighted.result())


def test_reset_forgets_all_pixels():
    metric = PixelAccuracy(3)
    metric.update_state(TRUTH, logits_of(2 - TRUTH, 3))
    metric.reset_state()
    assert np.isnan(float(metric.result()))
    metric.update_state(TRUTH, logits_of(TRUTH, 3))
    assert float(metric.result()) == 1


def test_counts_stay_exact_past_the_range_of_float32():
    metric = PixelAccuracy(2, dtype="float64")
    metric.variables[0].assign([[2**40, 0], [0, 0], [0, 0]])
    metric.update_state(np.array([[[0, 1]]]), logits_of(np.array([[[0, 0]]]), 2))
    np.testing.assert_array_equal(metric.confusion_matrix, [[2**40 + 1, 0], [1, 0]])
    assert float(metric.result()) == (2**40 + 1) / (2**40 + 2)


@pytest.mark.parametrize("num_classes", [1, 3])
@pytest.mark.parametrize("stray", [-1, 3, 255])
def test_a_label_of_no_class_does_not_pass_unseen(num_classes, stray):
    truth = np.array([[[0, 1, stray]]])
    scores = scores_after(every_metric(num_classes), (truth, logits_of(np.array([[[0, 1, 1]]]), num_classes)))
    assert np.isnan(scores).all()


def test_labels_may_have_a_last_axis_of_one():
    metric = MeanIoU(3)
    metric.update_state(TRUTH[..., None].astype(np.uint8), logits_of(RESULT, 3))
    assert float(metric.result()) == pytest.approx(sum(IOU) / 3)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_compiled_step_counts_the_same(jit_compile):
    metrics = every_metric(3, ignore_label=255)

    @tf.function(jit_compile=jit_compile)
    def step(truth, logits):
        for metric in metrics:
            metric.update_state(truth, logits)

    truth = np.where(TRUTH == 2, 255, TRUTH)
    for _ in range(2):
        step(tf.constant(truth), tf.constant(logits_of(RESULT, 3)))
    np.testing.assert_array_equal(metrics[1].confusion_matrix, [[6, 2, 2], [2, 4, 0], [0, 0, 0]])
    assert float(metrics[0].result()) == pytest.approx(5 / 8)


@pytest.mark.parametrize("num_classes", [1, 2])
def test_fit_and_evaluate_report_the_scores(num_classes):
    images = np.random.default_rng(0).normal(size=(10, 4, 4, 1)).astype(np.float32)
    labels = (images[..., 0] > 0.3).astype(np.int32)
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(num_classes, 1, kernel_initializer="ones")(inputs))
    model.compile("adam", WeightedCrossentropy(), metrics=[PixelAccuracy(num_classes), IoU(num_classes)])
    model.fit(images, labels, sample_weight=np.full(labels.shape, 3.0), batch_size=4, verbose=0)
    scores = model.evaluate(images, labels, batch_size=4, verbose=0, return_dict=True)
    logits = model.predict(images, verbose=0)
    result = logits[..., 0] > 0 if num_classes == 1 else logits.argmax(-1) == 1
    both, either = (result & (labels == 1)).sum(), (result | (labels == 1)).sum()
    assert scores["pixel_accuracy"] == pytest.approx((result == labels).mean())
    assert scores["iou"] == pytest.approx(both / either)


def test_counts_are_a_variable_whose_replicas_are_added():
    (counts,) = MeanIoU(2).variables
    assert counts.aggregation == "sum"


@pytest.mark.slow
def test_counts_of_all_replicas_are_added():
    # Replicas must be declared before TensorFlow starts, hence a process of its own.
    script = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from keras_unet.metrics.keras_metrics import MeanIoU
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    metric = MeanIoU(2)
truth = np.array([[[0, 0, 0]], [[0, 1, 1]]] * 2)
logits = np.eye(2, dtype=np.float32)[np.array([[[0, 0, 1]], [[0, 0, 1]]] * 2)]
data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((truth, logits)).batch(2))
step = tf.function(lambda batch: strategy.run(metric.update_state, args=batch))
for batch in data:
    step(batch)
print(metric.confusion_matrix.numpy().tolist(), float(metric.result()))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.split("\n")[0] == f"[[6, 2], [2, 2]] {np.float32((6 / 10 + 2 / 6) / 2)}"


@pytest.mark.parametrize(
    "metric",
    [
        PixelAccuracy(3, ignore_label=255),
        MeanIoU(1, name="m", dtype="float64"),
        MeanDice(3),
        IoU(3, class_index=2),
        DiceCoefficient(2, class_index=0, ignore_label=7),
    ],
)
def test_metrics_survive_saving(metric):
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="num_classes of at least 1"):
        MeanIoU(0)
    with pytest.raises(ValueError, match="class_index of 0 to 1. Received 2"):
        IoU(1, class_index=2)
    with pytest.raises(ValueError, match="logits of 3 channels"):
        MeanIoU(3).update_state(TRUTH, logits_of(RESULT, 4))
    with pytest.raises(ValueError, match="square confusion matrix"):
        class_scores([[1, 2, 3], [4, 5, 6]])
