"""What tests of streaming share: nets, pixels, results read back, and calls that fail half-way."""

import keras
import numpy as np
import pytest
import tifffile

import keras_unet as ku
from keras_unet import targets
from keras_unet.streaming import predict_file


def net(seed=0, **changes):
    keras.utils.set_random_seed(seed)
    return ku.UNet(**{"input_shape": (None, None, 1), "num_classes": 2, "filters": 2, "depth": 1, **changes})


def noise(*shape, dtype="uint8", seed=0):
    return np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)


def written(path):
    """The pixels of a result, read by tifffile or zarr."""
    if path.suffix == ".zarr":
        zarr = pytest.importorskip("zarr")
        return zarr.open_array(str(path), mode="r")[:]
    return tifffile.imread(path)


def rows_in(journal):
    try:
        lines = journal.read_text().splitlines()
    except FileNotFoundError:
        return 0
    return max(len(lines) - 2, 0)


def interrupted(model, folder, monkeypatch, after=3, source="a.tif", **options):
    """A call that fails after some rows, as a full disk would have it."""
    if not (folder / source).exists():
        tifffile.imwrite(folder / "a.tif", noise(200, 90))
    write, count = targets._TiffTarget.write, iter(range(after))

    def failing(self, *arguments):
        if next(count, None) is None:
            raise OSError(28, "No space left on device")
        write(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(targets._TiffTarget, "write", failing)
        with pytest.raises(OSError, match=r"No space left on device: '.*c\.tif\.partial'"):
            predict_file(model, folder / source, folder / "c.tif", **options)
