"""The generated cells: same seed same bits, cells that truly touch, and no threshold that tells them apart."""

import numpy as np
import pytest
from scipy import ndimage

from keras_unet.datasets import load
from keras_unet.datasets.synthetic_cells import synthetic


@pytest.fixture(scope="module")
def cells():
    return synthetic(count=2, size=512, seed=3)


def touching_pairs(labels):
    pairs = set()
    for a, b in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        touch = (a != b) & (a > 0) & (b > 0)
        pairs |= {frozenset(pair) for pair in zip(a[touch].tolist(), b[touch].tolist(), strict=True)}
    return pairs


def pairs_told_apart(truth, found):
    """Share of touching pairs whose two cells match (IoU > 0.5) different components."""
    overlap = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(overlap, (truth.ravel(), found.ravel()), 1)
    iou = overlap / (overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap)
    match = {cell: iou[cell, 1:].argmax() for cell in range(1, len(iou)) if (iou[cell, 1:] > 0.5).any()}
    pairs = touching_pairs(truth)
    return sum(set(pair) <= match.keys() and len({match[c] for c in pair}) == 2 for pair in pairs) / len(pairs)


def test_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (synthetic(count=1, size=64, seed=seed)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)


def test_images_of_one_set_differ_and_a_longer_set_begins_with_a_shorter_one():
    short, long = synthetic(count=2, size=64), synthetic(count=3, size=64)
    for a, b in zip(short, long, strict=False):
        np.testing.assert_array_equal(a.image, b.image)
    assert not np.array_equal(long[0].image, long[1].image)


def test_images_are_grey_bytes_with_instance_ids(cells):
    assert cells.kind == "instances"
    assert cells.num_classes == 2
    assert cells.channels == 1
    assert cells[0].image.shape == (512, 512, 1)
    assert cells[0].image.dtype == np.uint8
    assert "seed 3" in cells.notes[0]


def test_every_id_up_to_the_last_is_one_connected_cell(cells):
    for sample in cells:
        assert 40 <= sample.labels.max() <= 60
        for cell in range(1, sample.labels.max() + 1):
            assert ndimage.label(sample.labels == cell)[1] == 1


def test_most_cells_share_a_border_with_another(cells):
    for sample in cells:
        pairs = touching_pairs(sample.labels)
        assert len(pairs) >= 40
        assert len(frozenset.union(*pairs)) >= 0.75 * sample.labels.max()


def test_no_global_threshold_tells_a_fifth_of_the_touching_cells_apart(cells):
    shares = [
        np.mean([pairs_told_apart(s.labels, ndimage.label(s.image[..., 0] > level)[0]) for s in cells])
        for level in range(30, 220, 10)
    ]
    assert max(shares) < 0.2


def test_contact_line_is_darker_than_both_sides_by_more_than_the_noise(cells):
    for sample in cells:
        image, labels = sample.image[..., 0].astype(float), sample.labels
        near = ndimage.maximum_filter(labels, 3)
        far = ndimage.minimum_filter(np.where(labels > 0, labels, 10**6), 3)
        contact = (labels > 0) & (near != far)
        background = ndimage.distance_transform_edt(labels > 0)
        distance = ndimage.distance_transform_edt(~contact)
        beside = (distance >= 4) & (distance <= 6) & (background > 6)
        drop = image[beside].mean() - image[contact & (background > 6)].mean()
        noise = np.std(image[beside] - ndimage.gaussian_filter(image, 2)[beside])
        assert drop > 2 * noise


def test_light_and_cells_are_uneven(cells):
    image, labels = cells[0].image[..., 0].astype(float), cells[0].labels
    means = ndimage.mean(image, labels, np.arange(1, labels.max() + 1))
    assert means.max() > 2 * means.min()


@pytest.mark.parametrize("wanted", [1, 30, 100, 300])
def test_number_of_cells_is_about_what_was_asked_for(wanted):
    labels = synthetic(count=1, size=512, cells=wanted)[0].labels
    assert 0.9 * wanted <= labels.max() <= wanted


def test_any_shape_is_filled_at_the_same_cell_size():
    labels = synthetic(count=1, size=(200, 700))[0].labels
    assert labels.shape == (200, 700)
    areas = np.bincount(labels.ravel())[1:]
    assert 1200 < np.median(areas) < 3600


def test_smallest_image_is_generated():
    assert synthetic(count=1, size=32)[0].labels.max() >= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count to be a whole number from 1. Received 0"),
        ({"size": 31}, "each at least 32. Received 31"),
        ({"size": (64, 64, 1)}, "two numbers"),
        ({"cells": 0}, "cells to be a whole number from 1 to"),
        ({"cells": 10**6}, "Received 1000000"),
        ({"seed": -1}, "seed to be a whole number from 0. Received -1"),
        ({"seed": 1.5}, "Received 1.5"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        synthetic(**options)


def test_synthetic_is_loaded_by_name_and_takes_no_path():
    assert len(load("synthetic", count=1, size=64)) == 1
    with pytest.raises(ValueError, match="Expected no path"):
        load("synthetic", "somewhere")
