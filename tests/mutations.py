"""Faults put into the code by hand, each of which the quick tests must catch: `python tests/mutations.py [NUMBER …]`.

Each mutation is one text of one file, replaced in the working tree for the time of its tests and then put back. Needs
the package installed in editable form, and files without uncommitted changes. Prints a row for each mutation; the exit
status is the number of those that were not caught.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Mutation(NamedTuple):
    """A fault.

    Args:
        part: What it is in.
        fault: What it does.
        file: File that it is put into, from the repository's root.
        before: Text that occurs once in the file.
        after: What takes its place.
        tests: Files, folders or tests in tests/, one of which fails among the quick ones.
    """

    part: str
    fault: str
    file: str
    before: str
    after: str
    tests: str


MUTATIONS = (
    Mutation(
        "network",
        "up-convolutions start with the weights of four times as many inputs",
        "keras_unet/models/blocks.py",
        "math.sqrt(2.0 / x.shape[-1])",
        "math.sqrt(0.5 / x.shape[-1])",
        "test_unet.py",
    ),
    Mutation(
        "network",
        "dropout a level too high",
        "keras_unet/models/unet.py",
        "if level == depth - 1 and dropout:",
        "if level == depth - 2 and dropout:",
        "test_unet.py",
    ),
    Mutation(
        "losses",
        "pixels without weight count in Dice",
        "keras_unet/losses/dice.py",
        "return super().__call__(tf.where(unweighted, _WITHOUT_WEIGHT, labels), y_pred)",
        "return super().__call__(labels, y_pred)",
        "test_losses.py",
    ),
    Mutation(
        "weight maps",
        "sigma where sigma times the root of two belongs",
        "keras_unet/losses/weight_maps.py",
        "distance /= np.float32(sigma * sqrt(2.0))",
        "distance /= np.float32(sigma)",
        "test_weight_maps.py",
    ),
    Mutation(
        "augmentation",
        "the window's rows taken for its columns",
        "keras_unet/augment/tile_warp.py",
        "slice(starts[1], starts[1] + self.output_size[1]),",
        "slice(starts[0], starts[0] + self.output_size[0]),",
        "augment",
    ),
    Mutation(
        "augmentation",
        "noise of one seed in all tiles",
        "keras_unet/augment/tile_warp.py",
        "pixel_noise(image.shape[1:].as_list(), cut.drawn.noise_seed)",
        "pixel_noise(image.shape[1:].as_list(), 0 * cut.drawn.noise_seed)",
        "augment/test_gray_values.py",
    ),
    Mutation(
        "pipeline",
        "every epoch in one order",
        "keras_unet/pipeline/tile_datasets.py",
        "order = tf.stack([tf.constant(seed, tf.int64), epoch])",
        "order = tf.stack([tf.constant(seed, tf.int64), 0 * epoch])",
        "test_pipeline.py",
    ),
    Mutation(
        "pipeline",
        "windows lie inside their images",
        "keras_unet/pipeline/tile_position.py",
        "tf.floor(tf.random.stateless_uniform([2], seed) * places) - size // 2",
        "tf.floor(tf.random.stateless_uniform([2], seed) * (places - size))",
        "test_sampling.py",
    ),
    Mutation(
        "pipeline",
        "a worker makes the tiles of the first",
        "keras_unet/pipeline/tile_datasets.py",
        "return element(batch * batch_size + worker * share + number % share)",
        "return element(batch * batch_size + number % share)",
        "test_shards.py",
    ),
    Mutation(
        "tiling",
        "the edge pixel is mirrored too",
        "keras_unet/inference/tiling.py",
        "period = tf.maximum(2 * (size - 1), 1)",
        "period = tf.maximum(2 * size, 1)",
        "test_tiling.py",
    ),
    Mutation(
        "instances",
        "objects that touch at a corner hang together",
        "keras_unet/instances/components.py",
        "connectivity=4, ltype=cv2.CV_32S)\n    return np.asarray(labels",
        "connectivity=8, ltype=cv2.CV_32S)\n    return np.asarray(labels",
        "instances",
    ),
    Mutation(
        "metrics",
        "ignored pixels count",
        "keras_unet/metrics/keras_metrics.py",
        "cell = tf.where(tf.equal(labels, self.ignore_label), -1, cell)",
        "cell = tf.where(tf.equal(labels, self.ignore_label), cell, cell)",
        "test_metrics.py",
    ),
    Mutation(
        "metrics",
        "pixels of weight 0 count",
        "keras_unet/metrics/keras_metrics.py",
        "tf.equal(aligned_weights(sample_weight, y_pred), 0.0)",
        "tf.equal(aligned_weights(sample_weight, y_pred), -1.0)",
        "test_metrics.py test_validation_tiles.py",
    ),
    Mutation(
        "scores",
        "truth and result swapped, and so recall and precision",
        "keras_unet/metrics/scores.py",
        "np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)",
        "np.diagonal(counts), counts.sum(axis=0), counts.sum(axis=1)",
        "test_metrics.py test_scores.py",
    ),
    Mutation(
        "challenge",
        "half of a reference object is a match in SEG",
        "keras_unet/challenge/seg.py",
        "covered = 2 * table.pixels > reference_sizes[table.truth]",
        "covered = 2 * table.pixels >= reference_sizes[table.truth]",
        "challenge/test_seg.py",
    ),
    Mutation(
        "challenge",
        "extra objects cost nothing in DET",
        "keras_unet/challenge/det.py",
        "penalise_extras * EXTRA * errors.extras",
        "0 * EXTRA * errors.extras",
        "challenge/test_det.py",
    ),
    Mutation(
        "reading",
        "a stack is read as its first page",
        "keras_unet/image_io/image_files.py",
        '    if len(stack) != 1:\n        raise ImageError(f"{path}: expected a single image.',
        '    if len(stack) < 1:\n        raise ImageError(f"{path}: expected a single image.',
        "image_io",
    ),
    Mutation(
        "training",
        "gradients of an update summed instead of averaged",
        "training/trainer.py",
        "self._apply([total / self.accumulate for total in self._sums])",
        "self._apply([total for total in self._sums])",
        "training/test_training_accumulation.py",
    ),
    Mutation(
        "training",
        "a smaller figure is always better",
        "training/run_loop.py",
        "smaller_is_better = self._settings.monitor in SMALLER_IS_BETTER",
        "smaller_is_better = True",
        "training/test_training_course.py",
    ),
    Mutation(
        "checkpoints",
        "the state of dropout's random numbers is left out",
        "training/checkpoints.py",
        '**{f"random/{index}": variable for index, variable in enumerate(others)},',
        "",
        "training/test_training_resumed.py",
    ),
    Mutation(
        "export",
        "rank of a request unchecked",
        "export/signatures.py",
        "legal = (tf.size(shape) == 4) & (first_four[3] == channels)",
        "legal = (first_four[3] == channels)",
        "export test_signatures.py",
    ),
    Mutation(
        "client",
        "a piece's answer is kept from its start",
        "export/image_splitting.py",
        "slice(first - start, last - start)",
        "slice(0, last - first)",
        "client/test_client_pieces.py",
    ),
    Mutation(
        "client",
        "errors that will not pass are tried again",
        "export/client/parallel.py",
        "if not error.retry:",
        "if False:",
        "client/test_client_faults.py::test_a_refusal_is_the_servers_sentence_and_is_not_tried_again",
    ),
    Mutation(
        "training",
        "updates keep their mean over a filter's inputs",
        "training/optimizers.py",
        "before + update - tf.reduce_mean(update, axes, keepdims=True)",
        "before + update",
        "training/test_training_optimizers.py",
    ),
    Mutation(
        "pixels",
        "hot pixels count in the deviation",
        "keras_unet/preprocessing/image_statistics.py",
        "np.where(varies, clipped.std(axis=0), 1.0)",
        "np.where(varies, values.std(axis=0), 1.0)",
        "test_pixel_normalization.py",
    ),
)


def main() -> int:
    """Run the mutations with the numbers given, or all."""
    chosen = [int(word) for word in sys.argv[1:]] or range(1, len(MUTATIONS) + 1)
    missed = 0
    for number in chosen:
        caught = _caught(MUTATIONS[number - 1])
        missed += not caught
        part, fault, file, *_ = MUTATIONS[number - 1]
        print(f"| {number} | {part} | {fault} | `{file}` | {caught or '**not caught**'} |", flush=True)
    return missed


def _caught(mutation: Mutation) -> str:
    """The first test that fails, or nothing."""
    path = ROOT / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.before) != 1:
        raise ValueError(f"{mutation.file}: Expected {mutation.before!r} once. Received {text.count(mutation.before)}.")
    tests = [str(ROOT / "tests" / name) for name in mutation.tests.split()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    try:
        path.write_text(text.replace(mutation.before, mutation.after), encoding="utf-8")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    finally:
        path.write_text(text, encoding="utf-8")
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return f"`{failed[0].rpartition('/')[2]}`" if failed else ""


if __name__ == "__main__":
    sys.exit(main())
