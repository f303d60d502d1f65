"""Training: configuration, the loop, checkpoints and evaluation. Import name: `keras_unet.training`.

from keras_unet import training

report = training.run(training.load_config("synthetic"), "run")
"""

if __name__ == "training":
    # A second copy of the modules under this name would register every Keras class twice.
    raise ImportError("Import keras_unet.training instead of training: the folder is part of the package keras_unet.")

from importlib import import_module
from typing import TYPE_CHECKING, Any

_NAMES = {
    "Config": "config",
    "ConfigError": "config",
    "load_config": "config",
    "evaluate": "evaluation",
    "format_table": "evaluation",
    "Trainer": "loop",
    "profile": "profiling",
    "run": "train",
    "run_folds": "folds",
}
_MODULES = (
    "checkpoints",
    "cluster",
    "config",
    "course",
    "dead_filters",
    "distribution",
    "evaluation",
    "failures",
    "folds",
    "history",
    "loop",
    "monitoring",
    "optimizers",
    "profiling",
    "provenance",
    "range_test",
    "run_folder",
    "split",
    "starting_net",
    "summary",
    "train",
    "tuning",
    "whole_images",
)

__all__ = [*_MODULES, *_NAMES]  # noqa: PLE0604

if TYPE_CHECKING:
    from .config import Config as Config
    from .config import ConfigError as ConfigError
    from .config import load_config as load_config
    from .evaluation import evaluate as evaluate
    from .evaluation import format_table as format_table
    from .folds import run_folds as run_folds
    from .loop import Trainer as Trainer
    from .profiling import profile as profile
    from .train import run as run


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    elif name in _MODULES:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
