"""Every way that streaming can be interrupted, and that it goes on with the same bits, or not with others."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
from helpers.nets import noise
from helpers.streaming import interrupted, net, rows_in, written

import keras_unet as ku
from keras_unet.inference.streaming import streamed_prediction
from keras_unet.inference.streaming.journal import Journal
from keras_unet.inference.streaming.streamed_prediction import predict_file

SCRIPT = """
import sys
import keras_unet as ku
from keras_unet.inference.streaming import streamed_prediction
from keras_unet.inference.streaming import targets
from keras_unet.cli import app
targets.TILE = streamed_prediction.TILE = 32
streamed_prediction._PANEL_BYTES = 32 * 1024
streamed_prediction.predict_file(ku.load_model(sys.argv[1]), sys.argv[2], sys.argv[3], tile=44, output="probabilities")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "kills"), [(".tif", 1), (".tif", 2), (".zarr", 1)])
def test_killed_at_any_moment_and_resumed_gives_the_same_bits(tmp_path, small, model, net_file, suffix, kills):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    image = noise(700, 300, seed=1)
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(32, 32), compression="zlib")
    target, journal = tmp_path / f"p{suffix}", tmp_path / f"p{suffix}.journal"
    random, finished = np.random.default_rng(), [0]
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, net_file, tmp_path / "a.tif", target])
        goal = finished[-1] + int(random.integers(1, 8))
        while process.poll() is None and rows_in(journal) < goal:
            time.sleep(0.002)
        time.sleep(random.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not target.exists()
        finished.append(rows_in(journal))
    assert (np.diff(finished) > 0).all()
    predict_file(model, tmp_path / "a.tif", target, output="probabilities")
    np.testing.assert_array_equal(written(target), ku.predict(model, image, tile=44))
    fresh = predict_file(model, tmp_path / "a.tif", tmp_path / f"fresh{suffix}", tile=44, output="probabilities")
    assert not journal.exists()
    if suffix == ".tif":
        assert target.read_bytes() == fresh.read_bytes()
    else:
        files = [sorted(path.relative_to(store) for path in store.rglob("*")) for store in (target, fresh)]
        assert files[0] == files[1]


def test_failed_call_is_gone_on_with_by_the_tile_it_began_with(tmp_path, small, model, monkeypatch):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    begun = (tmp_path / "c.tif.partial").stat().st_ino
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", output="classes")
    assert target.stat().st_ino == begun
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=44).argmax(-1))


def test_torn_last_line_and_lost_tail_of_the_partial_file_do_no_harm(tmp_path, small, model, monkeypatch):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    with (tmp_path / "c.tif.journal").open("a") as journal:
        journal.write("99")
    with (tmp_path / "c.tif.partial").open("ab") as partial:
        partial.write(b"half a tile")
    interrupted(model, tmp_path, monkeypatch, after=1, tile=44)
    assert rows_in(tmp_path / "c.tif.journal") == 4
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=44).argmax(-1))


def test_partial_file_that_lost_its_end_is_begun_anew(tmp_path, small, model, monkeypatch):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    partial = tmp_path / "c.tif.partial"
    os.truncate(partial, partial.stat().st_size - 10)
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=44).argmax(-1))


def test_partial_result_is_thrown_away_if_not_to_be_resumed(tmp_path, small, model, monkeypatch):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=52, resume=False)
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=52).argmax(-1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "c.tif"]


@pytest.mark.parametrize("change", ["model", "image", "tile", "output", "averaging"])
def test_partial_result_of_other_settings_is_refused_unless_overwritten(tmp_path, small, model, monkeypatch, change):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    os.utime(tmp_path / "a.tif", ns=(0, json.loads((tmp_path / "c.tif.journal").open().readline())["image"][1]))
    options = {"tile": {"tile": 48}, "output": {"output": "probabilities"}, "averaging": {"averaging": "flips"}}
    if change == "image":
        tifffile.imwrite(tmp_path / "a.tif", noise(200, 90, seed=5))
    other = net(1) if change == "model" else model
    arguments = {"tile": 44, **options.get(change, {})}
    with pytest.raises(ValueError, match=rf"or overwrite\. Received another {change}\."):
        predict_file(other, tmp_path / "a.tif", tmp_path / "c.tif", **arguments)
    target = predict_file(other, tmp_path / "a.tif", tmp_path / "c.tif", overwrite=True, **arguments)
    fresh = predict_file(other, tmp_path / "a.tif", tmp_path / "fresh.tif", **arguments)
    assert target.read_bytes() == fresh.read_bytes()


@pytest.mark.parametrize("source", ["a.tif", "a.zarr"])
def test_image_replaced_by_one_of_the_same_size_and_time_is_another(tmp_path, small, model, monkeypatch, source):
    def write(seed):
        if source == "a.tif":
            tifffile.imwrite(tmp_path / source, noise(200, 90, seed=seed))
        else:
            zarr = pytest.importorskip("zarr")
            options = {"chunks": (32, 32), "compressors": None, "overwrite": True}
            zarr.create_array(str(tmp_path / source), data=noise(200, 90, seed=seed), **options)
        for file in (tmp_path / source, *(tmp_path / source).rglob("*")):
            os.utime(file, ns=(0, 10**18))

    write(0)
    interrupted(model, tmp_path, monkeypatch, source=source, tile=44)
    write(1)
    with pytest.raises(ValueError, match=r"or overwrite\. Received another image\."):
        predict_file(model, tmp_path / source, tmp_path / "c.tif", tile=44)
    write(0)
    predict_file(model, tmp_path / source, tmp_path / "c.tif", tile=44)


@pytest.mark.parametrize("place", [0, 2**24 - 1, 2**24, 2**25 - 1])
def test_samples_of_a_large_file_hold_its_ends_and_places_between(tmp_path, place):
    path = tmp_path / "a"
    path.write_bytes(bytes(2**25))
    size = [2**25]
    before, shorter = (streamed_prediction._samples(path, [path], size) for size in (size, [2**20]))
    assert before != shorter
    with path.open("r+b") as file:
        file.seek(max(place - 2**16, 0))
        file.write(b"x" * 2**17)
        file.truncate(2**25)
    assert streamed_prediction._samples(path, [path], size) != before


def test_samples_of_nothing_and_of_many_small_files_are_of_all_bytes(tmp_path):
    assert streamed_prediction._samples(tmp_path, [], []) == streamed_prediction._samples(tmp_path, [tmp_path], [0])
    files = [tmp_path / f"{number:03}" for number in range(200)]
    for file in files:
        file.write_bytes(b"0" * (int(file.name) % 3))
    sizes = [int(file.name) % 3 for file in files]
    before = streamed_prediction._samples(tmp_path, files, sizes)
    for number in (1, 101, 199):
        files[number].write_bytes(b"1" * sizes[number])
        assert streamed_prediction._samples(tmp_path, files, sizes) != before
        files[number].write_bytes(b"0" * sizes[number])
    assert streamed_prediction._samples(tmp_path, files, sizes) == before


def test_two_processes_do_not_write_one_target(tmp_path, model):
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 20))
    with Journal(tmp_path / "c.tif.journal"), pytest.raises(BlockingIOError, match="one process at a time"):
        predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif")


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_full_disk_names_the_file_and_keeps_what_is_finished(tmp_path, small, model, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    image = noise(200, 90)
    tifffile.imwrite(tmp_path / "a.tif", image)
    target = tmp_path / f"p{suffix}"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000 if suffix == ".tif" else 2_000, limit[1]))
    try:
        with pytest.raises(OSError, match=rf"p\{suffix}\.partial"):
            predict_file(model, tmp_path / "a.tif", target, tile=44, output="probabilities")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not target.exists()
    predict_file(model, tmp_path / "a.tif", target, output="probabilities")
    # Kernels of some CPUs round by a tensor's shape.
    np.testing.assert_allclose(written(target), ku.predict(model, image, tile=44), rtol=0, atol=1e-6)


def test_a_zarr_source_whose_chunks_change_between_the_calls_is_refused(tmp_path, small, model, monkeypatch):
    zarr = pytest.importorskip("zarr")
    store = zarr.create_array(str(tmp_path / "a.zarr"), data=noise(200, 90), chunks=(32, 32))
    interrupted(model, tmp_path, monkeypatch, source="a.zarr", tile=44)
    store[:32, :32] = 7
    with pytest.raises(ValueError, match=r"Received another image\."):
        predict_file(model, tmp_path / "a.zarr", tmp_path / "c.tif", tile=44)


@pytest.mark.parametrize("damage", [b"\0" * 40, b"x\ny\n", b'{"a": 1}\nfoo bar\n', b"[1]\n0 0\n"])
def test_a_damaged_journal_is_begun_anew(tmp_path, small, model, monkeypatch, damage):
    interrupted(model, tmp_path, monkeypatch, tile=44)
    (tmp_path / "c.tif.journal").write_bytes(damage)
    target = predict_file(model, tmp_path / "a.tif", tmp_path / "c.tif", tile=44)
    np.testing.assert_array_equal(written(target), ku.predict(model, noise(200, 90), tile=44).argmax(-1))


def test_a_journal_that_its_holder_removed_is_not_held_by_two(tmp_path):
    path = tmp_path / "journal"
    first, second = Journal(path), Journal(path)
    with first:
        pass  # removes the file that `second` has opened
    with Journal(path) as holder:
        holder.start({}, 0)
        with pytest.raises(BlockingIOError):
            second.__enter__()
