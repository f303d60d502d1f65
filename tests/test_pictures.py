"""Pictures show what they claim to."""

import numpy as np
import pytest

from keras_unet.visualization import overlays


def test_grey_values_are_spread_over_the_displays_range() -> None:
    image = np.linspace(1000, 3000, 10_000).reshape(100, 100).astype(np.uint16)
    shown = overlays.grey_or_colour(image)
    assert shown.shape == (100, 100, 3)
    assert shown.dtype == np.uint8
    assert (shown[0, 0, 0], shown[-1, -1, 0]) == (0, 255)
    assert abs(int(shown[50, 0, 0]) - 127) <= 2
    assert (shown[..., 0] == shown[..., 2]).all()


def test_a_flat_image_is_shown_without_dividing_by_zero() -> None:
    assert overlays.grey_or_colour(np.full((4, 5, 1), 7.0)).max() == 0


def test_colour_images_keep_their_channels_apart() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, 5:, 1] = 200
    shown = overlays.grey_or_colour(image)
    assert shown[0, 9].tolist() == [0, 255, 0]


def test_colours_of_many_ids_differ_and_background_is_black() -> None:
    table = overlays.colours(60)
    assert not table[0].any()
    assert len({tuple(colour) for colour in table[:40].tolist()}) == 40


def test_overlay_tints_objects_and_leaves_background_alone() -> None:
    image = np.tile(np.arange(20, dtype=np.uint8)[:, None, None], (1, 20, 1))
    labels = np.zeros((20, 20), np.int32)
    labels[5:15, 5:15] = 3
    shown, plain = overlays.overlay(image, labels), overlays.grey_or_colour(image)
    np.testing.assert_array_equal(shown[labels == 0], plain[labels == 0])
    np.testing.assert_array_equal(shown[5, 5:15], overlays.coloured(labels)[5, 5:15])
    assert (shown[10, 10] != plain[10, 10]).any()


def test_outlines_lie_inside_objects_also_where_two_touch() -> None:
    labels = np.array([[0, 0, 0, 0, 0, 0], [0, 1, 1, 2, 2, 2], [0, 1, 1, 2, 2, 2], [0, 1, 1, 2, 2, 2]])
    expected = np.array([[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0]], bool)
    np.testing.assert_array_equal(overlays.outlines(labels), expected)


def test_heat_grows_brighter_with_the_value() -> None:
    brightness = overlays.heat(np.linspace(0, 5, 64)[None]).astype(int).sum(axis=-1)[0]
    assert (np.diff(brightness) >= -6).all()
    assert brightness[-1] > brightness[0] + 500


def test_panels_stand_side_by_side_under_their_captions() -> None:
    panels = [np.full((30, 40, 3), value, np.uint8) for value in (10, 20)]
    sheet = overlays.side_by_side(panels, ["one", "two"])
    assert sheet.shape[1] == 86
    assert (sheet[-30:, :40] == 10).all()
    assert (sheet[-30:, -40:] == 20).all()
    assert (sheet[:-30, :40] < 255).any(), "a caption"
    assert (overlays.side_by_side(panels, ["one 1234567890", "two"]) == sheet).all(), "no part of a number"


def test_panels_of_different_heights_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected panels of one height"):
        overlays.side_by_side([np.zeros((3, 3, 3), np.uint8), np.zeros((4, 3, 3), np.uint8)], ["a", "b"])
