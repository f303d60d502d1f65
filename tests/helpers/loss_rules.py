"""What tests of the losses share: random batches, and the losses restated plainly in float64."""

import numpy as np


def random_batch(num_classes, batch=3, height=5, width=4, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(batch, height, width, num_classes)).astype(np.float32) * 3
    labels = rng.integers(0, max(num_classes, 2), (batch, height, width))
    weights = rng.uniform(0.1, 11, (batch, height, width)).astype(np.float32)
    return labels, logits, weights


def probabilities(logits):
    """Softmax, or sigmoid of one logit, in float64."""
    logits = logits.astype(np.float64)
    if logits.shape[-1] == 1:
        return 1 / (1 + np.exp(-logits))
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(-1, keepdims=True)


def crossentropy_by_hand(labels, logits):
    p = probabilities(logits)
    p = np.concatenate([1 - p, p], -1) if p.shape[-1] == 1 else p
    return -np.log(np.take_along_axis(p, labels[..., None], -1)[..., 0])


def dice_by_hand(labels, logits, smooth=1.0, squared=False, counted=None):
    """Per image, then per class, one sum at a time."""
    p = probabilities(logits)
    counted = np.ones(labels.shape, bool) if counted is None else counted
    classes = [1] if p.shape[-1] == 1 else range(p.shape[-1])
    losses = []
    for image in range(len(labels)):
        scores = []
        for c in classes:
            q = p[image, ..., 0 if p.shape[-1] == 1 else c][counted[image]]
            y = (labels[image] == c)[counted[image]].astype(float)
            power = 2 if squared else 1
            scores.append((2 * (q * y).sum() + smooth) / ((q**power).sum() + y.sum() + smooth))
        losses.append(1 - np.mean(scores))
    return np.array(losses)
