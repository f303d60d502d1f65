"""Settings, windows and arrays that augmentation refuses."""

import pytest
import tensorflow as tf
from helpers.augmentation import example

from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.tile_augmenter import TileAugmenter, elastic_deformation


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"elastic_sigma": -1.0}, "elastic_sigma in 0 … 1000. Received -1.0; nearest is 0"),
        ({"elastic_points": 1}, "elastic_points in 2 … 64. Received 1; nearest is 2"),
        ({"elastic_points": 2.5}, "whole number of elastic_points"),
        ({"rotation_degrees": 360.0}, "nearest is 180"),
        ({"flip_vertical": 2}, "nearest is 1"),
        ({"shift": float("nan")}, "shift"),
        ({"scale": (2.0, 1.0)}, "Expected scale as \\(smallest, largest\\)"),
        ({"scale": (0.0, 1.0)}, "Expected scale"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AugmentationSettings(**settings)


def test_output_windows_that_have_no_centre_are_refused():
    for size in [(63, 64), (66, 66), (0, 64)]:
        with pytest.raises(ValueError, match="Expected an output window of 1 … 64 px"):
            TileAugmenter(AugmentationSettings(), input_size=(64, 64), output_size=size)


def test_an_image_larger_than_said_is_refused():
    augmenter = TileAugmenter(AugmentationSettings(), input_size=(48, 48), largest_image=(96, 79))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"largest_image=\(96, 79\)"):
        augmenter(*example(96, 80), centre=(40, 40), seed=1)


def test_tiles_are_cut_from_single_images_with_a_known_number_of_channels():
    image, label, weight = example()
    augmenter = TileAugmenter(AugmentationSettings(), input_size=(48, 48))
    with pytest.raises(ValueError, match="number of channels known"):
        augmenter(image[None], label[None], weight[None], centre=(40, 40), seed=1)
    ragged = tf.data.Dataset.from_generator(lambda: [image], output_signature=tf.TensorSpec((None, None, 1), tf.uint8))
    with pytest.raises(ValueError, match="known height and width"):
        ragged.map(lambda image: elastic_deformation(image, seed=1))


def test_shapes_that_do_not_fit_and_float_labels_are_refused():
    image, label, weight = example()
    with pytest.raises(ValueError, match="one channel is"):
        elastic_deformation(image[..., 0], seed=1)
    with pytest.raises(ValueError, match=r"Expected label of shape \(96, 80\). Received \(95, 80\)"):
        elastic_deformation(image, label[1:], seed=1)
    with pytest.raises(ValueError, match="Expected weight of shape"):
        elastic_deformation(image, label, weight[..., None], seed=1)
    with pytest.raises(ValueError, match="Received float32"):
        elastic_deformation(image, weight, seed=1)
