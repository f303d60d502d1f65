"""What single parts of the method are worth: runs that differ in one of them and in the seed, figures of each.

    python benchmarks/ablations.py elastic --data isbi2012
    python benchmarks/ablations.py border --data DIC-C2DH-HeLa
    python benchmarks/ablations.py precision --data isbi2012
    python benchmarks/ablations.py elastic --data isbi2012 --set model.filters=8 --set training.input_size=256

elastic: the preset isbi2012-small on five slices, with elastic deformation and without (paper, section 3.1).
border: dic-hela-small, with the border term of equation 2 and without; labels keep their separation border in both.
precision: isbi2012-small in float32 (without TF32 on a GPU), mixed_bfloat16 and mixed_float16; a CPU without such
arithmetic emulates the latter two, several times slower.

Each run is judged on the preset's validation images without test-time averaging and averaged over the square's eight
symmetries. Objects are connected components above the threshold that is best on these same images, and in rows of
their own what `keras-unet tune` chooses on them, which may part what a net has left joined. --out keeps the runs, and
the same command goes on where it was stopped. A run that fails is told and left out of the means; the exit status is 1
then. --shrink makes images and labels smaller before anything else, so that small nets learn large cells in minutes;
figures are of small images then. --jobs runs several at once, for a machine with more cores, or a GPU, than one run can
use. --set changes what all runs have in common.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

Figures = dict[str, Any]

EM = ("pixel_error", "rand_error", "warping_error")
CELLS = ("seg", "separated_pairs", "touching_pairs", "mean_iou")
AVERAGING = ("none", "square")


class Ablation(NamedTuple):
    """Runs to compare.

    Args:
        preset: What they have in common,
        common: with these changes.
        variants: Changes by the name of a variant; the first is the rule, the others depart from it.
        figures: What to tell of each.
    """

    preset: str
    common: tuple[str, ...]
    variants: dict[str, tuple[str, ...]]
    figures: tuple[str, ...]


ABLATIONS = {
    "elastic": Ablation(
        "isbi2012-small",
        ("data.train=0-4",),
        {"elastic": (), "rigid": ("augmentation.elastic_sigma=0",)},
        EM,
    ),
    "border": Ablation("dic-hela-small", (), {"border": (), "no border": ("loss.w0=0",)}, CELLS),
    "precision": Ablation(
        "isbi2012-small",
        (),
        {name: (f"training.precision={name}",) for name in ("float32", "mixed_bfloat16", "mixed_float16")},
        EM,
    ),
}


def main() -> None:
    """Train, judge and print a table."""
    options = arguments()
    if options.run:
        json.dump(judged_run(**json.loads(options.run)), sys.stdout)
        return
    ablation = ABLATIONS[options.name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.out or Path(scratch)
        runs = [(name, seed) for seed in options.seeds for name in ablation.variants]
        jobs = [job(ablation, name, seed, options, folder) for name, seed in runs]
        print_header(ablation.figures)
        found: dict[str, list[Figures]] = {name: [] for name in ablation.variants}
        with ThreadPoolExecutor(options.jobs) as pool:
            results = pool.map(lambda one: in_own_process(one, options.jobs), jobs)
            for (name, seed), result in zip(runs, results, strict=True):
                if result is None:
                    print(f"{name}, seed {seed}: failed", flush=True)
                    continue
                found[name].append(result)
                for way, judged in result["judged"].items():
                    print_row(f"{name}, seed {seed}", way, [judged], ablation.figures)
    print("\nMeans over seeds (smallest to largest):")
    for name, ended in found.items():
        for way in ended[0]["judged"] if ended else ():
            print_row(name, way, [result["judged"][way] for result in ended], ablation.figures)
        seconds = (
            f", {statistics.median(one['seconds'] for one in ended):.0f} s of training in the median" if ended else ""
        )
        print(f"{name:20} {len(ended)} of {len(options.seeds)} runs{seconds}")
    if any(len(ended) < len(options.seeds) for ended in found.values()):
        sys.exit(1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=list(ABLATIONS), default="elastic")
    parser.add_argument("--data", type=lambda path: Path(path).absolute(), help="folder that the preset reads")
    parser.add_argument("--out", type=Path, help="folder to keep the runs in; none are kept without it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shrink", type=int, default=1, help="by which whole number images are made smaller")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--run", help=argparse.SUPPRESS)  # one run, as this script starts itself
    options = parser.parse_args()
    if not (options.data or options.run):
        parser.error("--data is needed")
    if options.shrink < 1:
        parser.error(f"--shrink: expected a whole number from 1 on. Received {options.shrink}.")
    return options


def job(ablation: Ablation, name: str, seed: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Arguments of `judged_run`."""
    own = [f"data.path={options.data}", *ablation.variants[name], f"training.seed={seed}"]
    changes = [*ablation.common, *options.changes, *own]
    out = str(folder / f"{name}-{seed}".replace(" ", "-"))
    return {"preset": ablation.preset, "changes": changes, "out": out, "shrink": options.shrink}


def in_own_process(job: dict[str, Any], jobs: int) -> Figures | None:
    """Train and judge as a program of its own, whose threads are its share of the cores; None if that fails."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": threads} if jobs > 1 else None
    command = [sys.executable, __file__, "--run", json.dumps(job)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return None
    result: Figures = json.loads(done.stdout.splitlines()[-1])
    return result


def judged_run(preset: str, changes: list[str], out: str, shrink: int = 1) -> Figures:
    """Train one run, or go on with it, and judge it by each way of averaging."""
    import tensorflow as tf

    from keras_unet import load_model
    from keras_unet.instances.instance_settings import InstanceSettings
    from keras_unet.metrics.computed_metrics import figures
    from keras_unet.training import load_config, run, tuning
    from keras_unet.training.data_split import load_data, split
    from keras_unet.training.evaluation import judge_all, scope_of

    tf.config.experimental.enable_tensor_float_32_execution(False)
    config = load_config(preset, changes)
    whole = shrunk(load_data(config.data), shrink)
    report = run(config, out, data=whole, say=lambda line: print(line, file=sys.stderr))
    model, data = load_model(Path(out) / "model.keras"), split(whole, config.data).validate
    judged: Figures = {}
    metrics = ("seg", "separated_pairs", "iou") if data.kind == "instances" else EM
    for averaging in AVERAGING:
        images = judge_all(averaged(model, averaging), data)
        ways = {averaging: InstanceSettings()}
        if data.kind == "instances":
            tuned = tuning.tune(images)
            ways = {averaging: InstanceSettings(tuned.components_threshold), f"{averaging}, tuned": tuned.settings}
        for way, settings in ways.items():
            judged[way] = figures(images, scope_of(data, settings), metrics)
    result = {"seconds": report["seconds"], "judged": judged}
    (Path(out) / "figures.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def shrunk(data: Any, factor: int) -> Any:
    """Images made smaller by a whole factor: means of squares of pixels, and of labels the one nearest the middle."""
    if factor == 1:
        return data
    import cv2

    def smaller(sample: Any) -> Any:
        height, width = (size // factor for size in sample.labels.shape)
        image = sample.image[: height * factor, : width * factor]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
        labels = sample.labels[factor // 2 :: factor, factor // 2 :: factor][:height, :width]
        return replace(sample, image=image, labels=labels)

    return replace(data, samples=tuple(smaller(sample) for sample in data))


def averaged(model: Any, averaging: str) -> Any:
    from keras_unet.inference.tiling import predict

    return lambda image: predict(model, image, averaging=averaging)


def print_header(names: Iterable[str]) -> None:
    print(f"{'run':20} {'averaging':13} " + " ".join(f"{name:>16}" for name in names), flush=True)


def print_row(label: str, way: str, results: Iterable[Figures], names: Iterable[str]) -> None:
    """The mean of each figure, and its range where there are several."""
    results = list(results)
    cells = []
    for name in names:
        values = [float(result[name]) for result in results]
        digits = ".6f" if name == "warping_error" else ".0f" if name.endswith("pairs") else ".4f"
        text = format(statistics.mean(values), digits)
        cells.append(text if len(values) == 1 else f"{text} ({min(values):{digits}} to {max(values):{digits}})")
    print(f"{label:20} {way:13} " + " ".join(f"{cell:>16}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
