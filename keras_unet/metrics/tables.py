"""Figures as lines for a terminal, and as CSV and JSON files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_unet.metrics.registry import Figures
from keras_unet.utils.atomic_files import write_text

_COLUMNS = {
    "iou": "IoU",
    "dice": "Dice",
    "dice_per_image": "Dice/image",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "hausdorff95": "HD95 px",
}
_ERRORS = {"pixel_error": "pixel error", "rand_error": "Rand error", "warping_error": "warping error"}
_CURVES = {"v_rand": "V_rand", "v_info": "V_info"}
_SALIENT = {
    "s_measure": "S-measure",
    "max_e": "max E",
    "mean_e": "mean E",
    "max_f": "max F",
    "weighted_f": "weighted F",
    "mae": "MAE",
    "hce": "HCE",
}
_OTHERS = {"pixel_accuracy": "pixel accuracy", "auc": "AUC", "seg": "SEG", "det": "DET"}
_ALL = "all images"


def format_table(figures: Figures) -> str:
    """Figures of `keras_unet.metrics.computed_metrics.figures` as lines for a terminal."""
    lines = [*_class_table(figures), _heading(figures)]
    errors = [f"{title} {_digits(figures[name], name)}" for name, title in _ERRORS.items() if name in figures]
    curves = [_split_and_merge(figures, name, title) for name, title in _CURVES.items() if name in figures]
    for group in (errors, curves):
        each = "each " if len(group) > 1 else ""
        lines += [f"{', '.join(group)}, {each}at its best threshold"] if group else []
    if "auc" in figures:
        lines.append(f"AUC {_digits(figures['auc'])}")
    if figures.get("hausdorff95_missing"):
        lines.append(f"HD95 leaves out {figures['hausdorff95_missing']} where truth or result alone has the class")
    lines += _object_lines(figures)
    salient = [f"{title} {_digits(figures[name])}" for name, title in _SALIENT.items() if name in figures]
    return "\n".join([*lines, *([", ".join(salient)] if salient else [])])


def write_json(path: Path, figures: Figures, by_image: Mapping[str, Figures]) -> None:
    """Write `{"figures": …, "by_image": {name: …}}`.

    Raises:
        OSError: If the file cannot be written.
    """
    text = json.dumps({"figures": figures, "by_image": by_image}, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_csv(path: Path, figures: Figures, by_image: Mapping[str, Figures]) -> None:
    """Write a row for each image and a last one for all of them; a figure by class has a column for each class.

    Raises:
        OSError: If the file cannot be written.
    """
    rows = [{"image": name, **flat(one)} for name, one in {**by_image, _ALL: figures}.items()]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[-1]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def flat(figures: Figures) -> dict[str, Any]:
    """Figures of one level: one by class becomes one for each class, such as `iou.cell`."""
    one_level: dict[str, Any] = {}
    for name, value in figures.items():
        one_level |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return one_level


def title(name: str) -> str:
    """What a figure of `flat` is called in a heading, such as `mean IoU` or `IoU, cell`."""
    name, _, class_name = name.partition(".")
    known = {**_COLUMNS, **_ERRORS, **_CURVES, **_SALIENT, **_OTHERS}
    bare = name.removeprefix("mean_")
    if name != bare and bare in known:
        return f"mean {known[bare]}"
    stem = next((stem for stem in _CURVES if name.startswith(f"{stem}_")), None)
    if stem is not None:
        return f"{known[stem]} {name.removeprefix(f'{stem}_')}"
    called = known.get(name, name.replace("_", " "))
    return f"{called}, {class_name}" if class_name else called


def _class_table(figures: Figures) -> list[str]:
    columns = {name: title for name, title in _COLUMNS.items() if name in figures}
    if not columns:
        return []
    names = list(dict.fromkeys(key for name in columns for key in figures[name]))
    width = max(len(name) for name in ("class", *names)) + 2
    rows = {name: [figures[column].get(name) for column in columns] for name in names}
    rows["mean"] = [figures[f"mean_{column}"] for column in columns]
    widths = [max(8, len(title) + 2) for title in columns.values()]
    lines = [f"{'class':<{width}}" + "".join(f"{t:>{w}}" for t, w in zip(columns.values(), widths, strict=True))]
    for name, values in rows.items():
        cells = (f"{_digits(value):>{w}}" for value, w in zip(values, widths, strict=True))
        lines.append(f"{name:<{width}}" + "".join(cells))
    return lines


def _heading(figures: Figures) -> str:
    images = "1 image" if figures["images"] == 1 else f"{figures['images']} images"
    if "pixel_accuracy" not in figures:
        return f"over {images}"
    return f"pixel accuracy {_digits(figures['pixel_accuracy'])} over {images}"


def _split_and_merge(figures: Figures, name: str, title: str) -> str:
    parts = ", ".join(f"{part} {_digits(figures[f'{name}_{part}'])}" for part in ("split", "merge"))
    return f"{title} {_digits(figures[name])} ({parts})"


def _object_lines(figures: Figures) -> list[str]:
    lines = []
    if "seg" in figures:
        found = f"{figures['objects_found']} objects found, {figures['objects']} true"
        threshold = f" at threshold {figures['threshold']:g}" if "threshold" in figures else ""
        if figures.get("seed_threshold") is not None:
            threshold += f", seeds above {figures['seed_threshold']:g}"
        size = f", from {figures['min_size']} pixels on" if figures.get("min_size") else ""
        parted = f", by watershed of depth {figures.get('depth', 1):g}" if figures.get("watershed") else ""
        lines.append(f"SEG {_digits(figures['seg'])}{threshold}{size}{parted}: {found}")
    if "det" in figures:
        lines.append(f"DET {_digits(figures['det'])}")
    if "separated_pairs" in figures:
        lines.append(f"touching pairs told apart: {figures['separated_pairs']} of {figures['touching_pairs']}")
    return lines


def _digits(value: float | None, name: str = "") -> str:
    if value is None:
        return "–"
    return f"{value:.6f}" if name == "warping_error" else f"{value:.4f}"
