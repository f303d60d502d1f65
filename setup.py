"""Where the code lives; everything else is in pyproject.toml.

The folders training/ and export/ are installed as keras_unet.training and keras_unet.export: a wheel must not own
import names as common as those.
"""

from setuptools import find_packages, setup

ROOMS = ("training", "export")

FOLDERS_OF_DATA = ("keras_unet.training.presets", "keras_unet.training.launch")

packages = [*find_packages(include=["keras_unet", "keras_unet.*"]), *FOLDERS_OF_DATA]
for room in ROOMS:
    packages += [f"keras_unet.{room}", *(f"keras_unet.{room}.{name}" for name in find_packages(room))]

setup(
    packages=packages,
    package_dir={"keras_unet": "keras_unet", **{f"keras_unet.{room}": room for room in ROOMS}},
    package_data={
        "": ["*.pyi"],
        "keras_unet": ["py.typed"],
        **{folder: ["*"] for folder in FOLDERS_OF_DATA},
        "keras_unet.export.serving": ["*.config", "*.json", "*.yml"],
    },
)
