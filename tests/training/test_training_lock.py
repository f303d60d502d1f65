"""One training at a time in a folder; a process that died keeps nobody out."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.runs import cells, quiet, tiny
from helpers.stub_training import stubbed

from keras_unet import training
from keras_unet.training.config import ConfigError
from keras_unet.training.locking import LOCK, locked

HOLDER = """
import sys, time
from pathlib import Path
from keras_unet.training.locking import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_training_in_the_folder_is_refused(tmp_path: Path, overwrite: bool) -> None:
    with locked(tmp_path), pytest.raises(ConfigError, match="Expected a run folder in which no other process trains"):
        training.run(tiny(), tmp_path, overwrite, data=cells(), say=quiet)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConfigError), locked(folder):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (folder / LOCK).exists()
    with locked(folder):
        pass
    assert list(folder.iterdir()) == []


def test_a_run_leaves_no_lock_and_one_that_failed_before_it_began_no_folder(tmp_path: Path) -> None:
    config = tiny(training_steps=1, data_validate=0)
    with stubbed():
        training.run(config, tmp_path / "run", data=cells(), say=quiet)
    assert not (tmp_path / "run" / LOCK).exists()
    with pytest.raises(ConfigError, match="num_classes"):
        training.run(tiny(model_num_classes=7), tmp_path / "runs" / "other", data=cells(), say=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_where_the_file_system_knows_no_locks_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with locked(tmp_path), locked(tmp_path):
        pass
