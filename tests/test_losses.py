"""The losses: known answers, gradients, ignored pixels and weights; and what they refuse."""

import math

import numpy as np
import pytest
import tensorflow as tf
from helpers.loss_rules import crossentropy_by_hand, dice_by_hand, probabilities, random_batch

import keras_unet as ku
from keras_unet.losses.crossentropy_dice import CrossentropyDice
from keras_unet.losses.dice import Dice
from keras_unet.losses.weighted_crossentropy import WeightedCrossentropy

LOG2, LOG3 = math.log(2), math.log(3)


def test_the_package_offers_the_losses():
    assert (ku.WeightedCrossentropy, ku.Dice, ku.CrossentropyDice) == (WeightedCrossentropy, Dice, CrossentropyDice)


def test_crossentropy_of_a_pixel_known_by_hand():
    # Logits (0, log 3): probabilities 1/4 and 3/4.
    logits = np.array([[[[0, LOG3], [0, LOG3]]]], np.float32)
    loss = WeightedCrossentropy()(np.array([[[0, 1]]]), logits)
    assert float(loss) == pytest.approx((math.log(4) + math.log(4 / 3)) / 2, rel=1e-6)


def test_one_logit_is_a_sigmoid():
    logits = np.array([[[[LOG3], [LOG3]]]], np.float32)
    loss = WeightedCrossentropy()(np.array([[[0, 1]]]), logits)
    assert float(loss) == pytest.approx((math.log(4) + math.log(4 / 3)) / 2, rel=1e-6)


@pytest.mark.parametrize("num_classes", [1, 2, 5])
def test_weights_multiply_the_pixels_and_the_mean_is_over_all_pixels(num_classes):
    labels, logits, weights = random_batch(num_classes)
    expected = (weights * crossentropy_by_hand(labels, logits)).sum() / labels.size
    assert float(WeightedCrossentropy()(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)
    assert float(WeightedCrossentropy()(labels, logits, weights[..., None])) == pytest.approx(expected, rel=1e-5)


def test_weights_of_images_go_to_their_images():
    labels, logits, _ = random_batch(3, batch=4, width=4)  # batch = width: Keras would broadcast along the width
    of_images = np.array([0.0, 1.0, 2.0, 5.0], np.float32)
    expected = (of_images[:, None, None] * crossentropy_by_hand(labels, logits)).mean()
    assert float(WeightedCrossentropy()(labels, logits, of_images)) == pytest.approx(expected, rel=1e-5)


def test_ignored_pixels_count_as_zero_in_the_mean():
    logits = np.zeros((1, 2, 2, 2), np.float32)
    labels = np.array([[[0, 1], [255, 255]]])
    assert float(WeightedCrossentropy(ignore_label=255)(labels, logits)) == pytest.approx(LOG2 * 2 / 4, rel=1e-6)


@pytest.mark.parametrize("loss", [WeightedCrossentropy, Dice, CrossentropyDice])
@pytest.mark.parametrize(("num_classes", "ignore_label"), [(1, 255), (2, 255), (3, 0), (3, -1)])
def test_logits_of_ignored_pixels_have_no_gradient(loss, num_classes, ignore_label):
    labels, logits, weights = random_batch(num_classes)
    labels[:, 1:3] = ignore_label
    logits = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(ignore_label=ignore_label)(labels, logits, weights)
    gradient = tape.gradient(value, logits).numpy()
    ignored = labels == ignore_label
    assert (gradient[ignored] == 0).all()
    assert (np.abs(gradient[~ignored]).max(-1) > 0).all()


@pytest.mark.parametrize("num_classes", [1, 2, 4])
def test_gradient_is_the_weight_times_probability_minus_truth_over_the_pixels(num_classes):
    labels, logits, weights = random_batch(num_classes)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = WeightedCrossentropy()(labels, variable, weights)
    truth = labels[..., None] if num_classes == 1 else np.eye(num_classes)[labels]
    expected = weights[..., None] * (probabilities(logits) - truth) / labels.size
    np.testing.assert_allclose(tape.gradient(value, variable), expected, atol=1e-6)


def test_class_weights_multiply_the_pixels_of_their_class():
    labels, logits, weights = random_batch(3)
    of_class = np.array([0.1, 1.0, 0.5])
    expected = (of_class[labels] * weights * crossentropy_by_hand(labels, logits)).mean()
    assert float(WeightedCrossentropy(class_weights=of_class)(labels, logits, weights)) == pytest.approx(
        expected, rel=1e-5
    )


def test_class_weights_of_one_logit_are_background_and_foreground():
    logits = np.zeros((1, 1, 2, 1), np.float32)
    loss = WeightedCrossentropy(class_weights=[0.25, 1.0])(np.array([[[0, 1]]]), logits)
    assert float(loss) == pytest.approx(LOG2 * 1.25 / 2, rel=1e-6)


def test_call_gives_the_crossentropy_of_each_pixel():
    labels, logits, _ = random_batch(3)
    values = WeightedCrossentropy().call(tf.constant(labels), tf.constant(logits))
    np.testing.assert_allclose(values, crossentropy_by_hand(labels, logits), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("num_classes", [1, 2])
def test_large_logits_stay_finite(num_classes):
    logits = np.full((1, 1, 1, num_classes), -300.0, np.float32)
    logits[..., 0] = 300.0
    wrong = 0 if num_classes == 1 else 1
    loss = WeightedCrossentropy()(np.full((1, 1, 1), wrong), logits)
    assert float(loss) == pytest.approx(300.0 if num_classes == 1 else 600.0)


def test_half_precision_logits_are_computed_in_float32():
    labels, logits, weights = random_batch(2)
    half = tf.cast(logits, tf.float16)
    loss = WeightedCrossentropy()(labels, half, weights)
    assert loss.dtype == tf.float32
    expected = (weights * crossentropy_by_hand(labels, half.numpy())).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_dice_of_an_image_known_by_hand():
    # p = 1/4 and 3/4, labels 0 and 1. Each class: 2 * p_right / (p_0 + p_1 + 1) = 2 * 1/4 / 1.5 and 2 * 3/4 / 2.5.
    logits = np.array([[[[0, LOG3], [0, LOG3]]]], np.float32)
    loss = Dice(smooth=0.0)(np.array([[[0, 1]]]), logits)
    assert float(loss) == pytest.approx(1 - (0.5 / 1.5 + 1.5 / 2.5) / 2, rel=1e-6)


def test_squared_dice_of_an_image_known_by_hand():
    # Sums of squares: class 0 2/16, class 1 18/16; smooth 1.
    logits = np.array([[[[0, LOG3], [0, LOG3]]]], np.float32)
    loss = Dice(smooth=1.0, squared=True)(np.array([[[0, 1]]]), logits)
    assert float(loss) == pytest.approx(1 - (1.5 / 2.125 + 2.5 / 3.125) / 2, rel=1e-6)


@pytest.mark.parametrize("num_classes", [1, 2, 5])
@pytest.mark.parametrize("squared", [False, True])
def test_dice_is_the_mean_over_images_of_the_mean_over_classes(num_classes, squared):
    labels, logits, _ = random_batch(num_classes)
    expected = dice_by_hand(labels, logits, 0.5, squared).mean()
    assert float(Dice(smooth=0.5, squared=squared)(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_a_perfect_prediction_has_no_dice_loss_even_without_smoothing():
    labels = np.array([[[0, 0], [1, 1]]])  # class 2 is absent
    logits = 200.0 * np.eye(3, dtype=np.float32)[labels]
    assert float(Dice(smooth=0.0)(labels, logits)) == pytest.approx(0.0, abs=1e-6)


def test_dice_leaves_out_ignored_pixels():
    labels, logits, _ = random_batch(3)
    labels[:, 0] = 255
    expected = dice_by_hand(labels, logits, counted=labels != 255).mean()
    assert float(Dice(ignore_label=255)(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_dice_leaves_out_pixels_of_weight_zero_and_counts_the_others_once():
    labels, logits, weights = random_batch(3)
    weights[:, :, 1] = 0
    expected = dice_by_hand(labels, logits, counted=weights > 0).mean()
    assert float(Dice()(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)
    assert float(Dice()(labels, logits, weights[..., None])) == pytest.approx(expected, rel=1e-5)


def test_weights_of_images_multiply_their_dice_loss():
    labels, logits, _ = random_batch(3)
    of_images = np.array([0.0, 2.0, 0.5], np.float32)
    expected = (of_images * dice_by_hand(labels, logits)).mean()
    assert float(Dice()(labels, logits, of_images)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_the_sum_weights_the_crossentropy_alone(num_classes):
    labels, logits, weights = random_batch(num_classes)
    expected = 0.5 * (weights * crossentropy_by_hand(labels, logits)).mean() + 3 * dice_by_hand(labels, logits).mean()
    loss = CrossentropyDice(0.5, 3.0)
    assert float(loss(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)


def test_unreduced_sum_has_the_loss_as_its_mean_over_pixels():
    labels, logits, weights = random_batch(3)
    values = CrossentropyDice(dice_weight=3.0, reduction="none")(labels, logits, weights)
    assert values.shape == labels.shape
    loss = CrossentropyDice(dice_weight=3.0)(labels, logits, weights)
    assert float(tf.reduce_mean(values)) == pytest.approx(float(loss), rel=1e-5)


def test_reduction_sum_adds_the_pixels():
    labels, logits, weights = random_batch(2)
    expected = (weights * crossentropy_by_hand(labels, logits)).sum()
    assert float(WeightedCrossentropy(reduction="sum")(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [WeightedCrossentropy(255), Dice(255), CrossentropyDice(ignore_label=255)])
@pytest.mark.parametrize("num_classes", [1, 2])
def test_labels_may_have_a_last_axis_of_one_and_any_number_type(loss, num_classes):
    labels, logits, weights = random_batch(num_classes)
    labels[0, 0, 0] = 255
    expected = float(loss(labels, logits, weights))
    assert float(loss(labels.astype(np.uint8)[..., None], logits, weights)) == expected
    assert float(loss(labels.astype(np.float32), logits, weights)) == expected


@pytest.mark.parametrize("loss", [WeightedCrossentropy(), Dice(), CrossentropyDice()])
def test_a_label_of_no_class_does_not_pass_unseen_with_one_logit(loss):
    assert np.isnan(float(loss(np.array([[[255, 1]]]), np.zeros((1, 1, 2, 1), np.float32))))


def test_a_label_of_no_class_does_not_pass_unseen_with_two_logits():
    labels, logits = np.array([[[255, 1]]]), np.zeros((1, 1, 2, 2), np.float32)
    assert np.isnan(float(Dice()(labels, logits)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="255"):
        WeightedCrossentropy()(labels, logits)


@pytest.mark.parametrize("loss", [WeightedCrossentropy(), Dice(), CrossentropyDice()])
def test_labels_of_another_size_than_the_logits_are_refused(loss):
    with pytest.raises(ValueError, match=r"Expected labels .*388.*Received shape .*572"):
        loss(np.zeros((1, 572, 572), int), np.zeros((1, 388, 388, 2), np.float32))


def test_shapes_that_do_not_go_together_are_refused():
    labels, logits, weights = random_batch(2)
    with pytest.raises(ValueError, match=r"Expected logits \(batch, height, width, num_classes\)"):
        WeightedCrossentropy()(labels, logits[..., 0])
    with pytest.raises(ValueError, match="Expected sample_weight"):
        WeightedCrossentropy()(labels, logits, weights[:, :-1])
    with pytest.raises(ValueError, match=r"Expected 2 class_weights. Received \[1.0, 1.0, 1.0\]"):
        WeightedCrossentropy(class_weights=[1, 1, 1])(labels, logits)


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError, match="class_weights of at least 0"):
        WeightedCrossentropy(class_weights=[1, -1])
    with pytest.raises(ValueError, match="smooth of at least 0"):
        Dice(smooth=-1)
    with pytest.raises(ValueError, match="factors of at least 0"):
        CrossentropyDice(dice_weight=-1)
