"""What a run folder tells of its run, in lines for `keras-unet info`."""

from typing import Any

from .checkpoints import Checkpoints, Progress
from .config import Config
from .run_folder import RunFolder


def summarize(folder: RunFolder) -> str:
    """State, steps, best figure, time, data, seed and versions of a run, a line each.

    Raises:
        ConfigError: If this is no run folder, or one of its files is damaged.
    """
    config, record = folder.read_config(), folder.read_provenance() or {}
    progress = Checkpoints(folder.checkpoints).latest_progress()
    lines = {
        "run": str(folder.path),
        "state": _state(progress, config, folder.report.exists()),
        **({} if progress is None else _figures(progress, config)),
        "data": _data(config, record),
        **({"start": f"weights of {config.training.start_from}"} if config.training.start_from else {}),
        "seed": str(config.training.seed),
        **_versions(record),
    }
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def _state(progress: Progress | None, config: Config, reported: bool) -> str:
    if progress is None and reported:
        return "finished; its checkpoints are gone"
    if progress is None:
        return f"begun, without a checkpoint; {config.training.steps} steps to go"
    if progress.finished and not reported:
        return f"trained for {progress.step} steps, its final figures not taken: the same command takes them"
    if progress.finished:
        return f"finished after {progress.step} steps: {progress.finished}"
    return f"unfinished, its last checkpoint at step {progress.step} of {config.training.steps}"


def _figures(progress: Progress, config: Config) -> dict[str, str]:
    best = "no validation yet"
    if progress.best is not None:
        best = f"{config.training.monitor} {progress.best:.4g} at step {progress.best_step}"
    minutes, seconds = divmod(round(progress.seconds), 60)
    return {"best": best, "time": f"{minutes} min {seconds:02d} s"}


def _data(config: Config, record: dict[str, Any]) -> str:
    source = config.data.name if config.data.path is None else f"{config.data.name} {config.data.path}"
    counts = [
        f"{len(record[part])} {what}"
        for part, what in (("train", "to train on"), ("validate", "to validate on"))
        if part in record
    ]
    return "; ".join([source, ", ".join(counts)] if counts else [source])


def _versions(record: dict[str, Any]) -> dict[str, str]:
    lines = {}
    if "versions" in record:
        lines["versions"] = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    if record.get("git"):
        changed = ", with changed files" if record["git"]["changed"] else ""
        lines["code"] = f"commit {record['git']['commit']}{changed}"
    return lines
