"""What tests of streaming share: nets, pixels, results read back, and calls that fail half-way."""

from functools import partial

import pytest
import tifffile

from helpers.nets import net as any_net
from helpers.nets import noise
from keras_unet.inference.streaming import targets
from keras_unet.inference.streaming.streamed_prediction import predict_file

net = partial(any_net, depth=1)


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
