"""What `ku.` holds: the listed names, whatever was imported before."""

import pickle
import sys
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import pytest

import keras_unet as ku


def test_modules_that_are_not_listed_are_no_attributes_once_imported() -> None:
    modules = {module.name for module in iter_modules(ku.__path__)} - {"cli"}
    for name in modules:
        import_module(f"keras_unet.{name}")
    assert {name for name in modules if hasattr(ku, name)} == modules & set(ku.__all__)
    with pytest.raises(AttributeError, match="module 'keras_unet' has no attribute 'rotated'"):
        _ = ku.rotated


def test_modules_that_are_not_listed_are_imported_by_their_names() -> None:
    import keras_unet.inference as by_name
    from keras_unet import inference

    assert inference is by_name is sys.modules["keras_unet.inference"]


def test_every_listed_name_is_there() -> None:
    assert dir(ku) == sorted(ku.__all__)
    held = {name: getattr(ku, name) for name in ku.__all__}
    assert None not in held.values()
    assert {"geometry", "training"} <= {name for name, value in held.items() if isinstance(value, ModuleType)}


def test_the_package_is_pickled_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(ku)) is ku
