"""Whether half precision trains as well as float32: the same runs in each, several seeds, figures on validation slices.

    python benchmarks/precision.py --data isbi2012
    python benchmarks/precision.py --data isbi2012 --set model.filters=8 --set training.input_size=316 \
        --set training.steps=300 --set optimizer.warmup_steps=30

Runs of the preset isbi2012-small that differ in seed and precision alone. Half precision passes if the mean of its
pixel errors is at most the mean in float32 plus the range of the float32 seeds. The first form is for a GPU, or a CPU
that computes in half precision: others emulate it, several times slower. --set changes what all runs have in common.
"""

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_unet.training import load_config, run

FIGURES = ("pixel_error", "rand_error", "mean_iou")


def train(arguments: argparse.Namespace, precision: str, seed: int) -> dict[str, float]:
    own = [f"data.path={arguments.data}", f"training.precision={precision}", f"training.seed={seed}"]
    config = load_config(arguments.preset, [*arguments.changes, *own])
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        report = run(config, f"{folder}/run", say=lambda line: None)
        return {"seconds": time.perf_counter() - begun, **{name: report["validation"][name] for name in FIGURES}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with train-volume.tif and train-labels.tif")
    parser.add_argument("--preset", default="isbi2012-small")
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16", "mixed_float16"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    print(f"{'precision':<15} {'seed':>4} {'pixel error':>12} {'Rand error':>11} {'mean IoU':>9} {'seconds':>8}")
    errors: dict[str, list[float]] = {}
    for seed in arguments.seeds:
        for precision in arguments.precisions:
            figures = train(arguments, precision, seed)
            errors.setdefault(precision, []).append(figures["pixel_error"])
            numbers = f"{figures['pixel_error']:>12.4f} {figures['rand_error']:>11.4f} {figures['mean_iou']:>9.4f}"
            print(f"{precision:<15} {seed:>4} {numbers} {figures['seconds']:>8.0f}", flush=True)
    reference = errors.get("float32", [])
    for precision, found in errors.items():
        mean = statistics.mean(found)
        verdict = ""
        if reference and precision != "float32":
            limit = statistics.mean(reference) + max(reference) - min(reference)
            verdict = f", {'within' if mean <= limit else 'above'} the limit of {limit:.4f}"
        print(f"{precision}: pixel error {mean:.4f} in the mean, {min(found):.4f} to {max(found):.4f}{verdict}")


if __name__ == "__main__":
    main()
