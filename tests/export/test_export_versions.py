"""Versions: they count up, and one that fails, is killed or comes beside others leaves the good ones alone."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from helpers.exports import TILE
from helpers.nets import skip_the_graph

from keras_unet import export
from keras_unet.export import saved_model, version_folders


def test_versions_count_up_and_an_existing_one_is_refused(tmp_path):
    assert version_folders.chosen_version(tmp_path / "new", None) == 1
    for name in ("1", "12", "latest", ".hidden"):
        (tmp_path / name).mkdir()
    assert version_folders.chosen_version(tmp_path, None) == 13
    assert version_folders.chosen_version(tmp_path, 5) == 5
    with pytest.raises(FileExistsError, match=r"Received 12, which exists\. Next free: 13"):
        version_folders.chosen_version(tmp_path, 12)
    for version in (0, -1, 1.0, True, "2"):
        with pytest.raises(ValueError, match="Expected a version number of at least 1"):
            version_folders.chosen_version(tmp_path, version)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="which is a file"):
        version_folders.chosen_version(tmp_path / "file", None)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_export_leaves_the_last_good_version_alone(model, folder, monkeypatch, failure):
    def fail(*_):
        raise failure

    def files():
        return {path: path.is_file() and path.read_bytes() for path in folder.parent.rglob("*")}

    before = files()
    skip_the_graph(monkeypatch)
    monkeypatch.setattr(saved_model, "write_description", fail)
    with pytest.raises(type(failure)):
        export.save(model, folder.parent, tile=TILE, verify=False)
    assert files() == before


def test_a_killed_export_leaves_a_hidden_folder_that_the_next_one_clears(tmp_path):
    (tmp_path / "1").mkdir()
    script = """
import os, pathlib, signal, sys
from keras_unet.export.version_folders import version_folder
with version_folder(pathlib.Path(sys.argv[1]), 2) as folder:
    (folder / "saved_model.pb").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert process.returncode == -signal.SIGKILL
    left = sorted(child.name for child in tmp_path.iterdir())
    assert len(left) == 2
    assert left[0].startswith(".")
    assert version_folders.existing_versions(tmp_path) == [1]
    with version_folders.version_folder(tmp_path, 2) as folder:
        (folder / "saved_model.pb").write_bytes(b"whole")
    assert sorted(child.name for child in tmp_path.iterdir()) == ["1", "2"]
    assert (tmp_path / "2" / "saved_model.pb").read_bytes() == b"whole"


def test_a_version_of_a_writer_killed_at_any_moment_is_whole(tmp_path):
    """A process that writes one version after the other; some kills come before, in and after a rename."""
    script = """
import pathlib, sys
from keras_unet.export.version_folders import chosen_version, version_folder
base = pathlib.Path(sys.argv[1])
while True:
    with version_folder(base, chosen_version(base, None)) as folder:
        for name in "abcd":
            (folder / name).write_bytes(bytes(100_000))
    print(flush=True)
"""
    random = np.random.default_rng(0)
    for _ in range(10):
        writer = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline()  # a first version is there
        time.sleep(random.uniform(0, 0.02))
        writer.kill()
        writer.communicate()
    numbers = version_folders.existing_versions(tmp_path)
    assert len(numbers) >= 10
    for number in numbers:
        files = {file.name: file.stat().st_size for file in (tmp_path / str(number)).iterdir()}
        assert files == dict.fromkeys("abcd", 100_000)


def test_an_export_in_progress_is_not_cleared_by_another(tmp_path):
    with version_folders.version_folder(tmp_path, 1) as slow:
        (slow / "file").touch()
        with version_folders.version_folder(tmp_path, 2):
            pass
        assert (slow / "file").exists()
    assert sorted(child.name for child in tmp_path.iterdir()) == ["1", "2"]


def test_exports_at_the_same_time_leave_each_other_alone(tmp_path):
    def export_some(process):
        for index in range(40):
            with version_folders.version_folder(tmp_path, 1 + index + 40 * process) as folder:
                (folder / "file").touch()
                assert (folder / "file").exists()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(export_some, range(4)))
    assert version_folders.existing_versions(tmp_path) == list(range(1, 161))
    assert len(list(tmp_path.iterdir())) == 160


def test_a_full_disk_is_told_apart_from_full_memory(model, tmp_path, monkeypatch):
    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    skip_the_graph(monkeypatch)
    monkeypatch.setattr(saved_model, "write_warm_up", full)
    with pytest.raises(OSError, match="No space left on device"):
        export.save(model, tmp_path / "m", tile=TILE, verify=False)
    assert list((tmp_path / "m").iterdir()) == []


def test_a_version_that_appears_meanwhile_is_not_overwritten(tmp_path):
    def race():
        with version_folders.version_folder(tmp_path, 1):
            (tmp_path / "1").mkdir()
            (tmp_path / "1" / "theirs").touch()

    with pytest.raises(FileExistsError, match="exists by now"):
        race()
    assert [child.name for child in tmp_path.rglob("*")] == ["1", "theirs"]


def test_a_server_of_another_user_may_read_the_version(tmp_path):
    before = os.umask(0o022)
    try:
        with version_folders.version_folder(tmp_path, 1):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "1").stat().st_mode & 0o777 == 0o755
