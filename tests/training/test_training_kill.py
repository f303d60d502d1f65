"""A run that is killed: the script that kills many times, once; and a scheduler's polite way.

`test_training_resumed` has a run end half-way in this process.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_unet.training.checkpoints import Checkpoints

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks its runs")
def test_a_run_that_was_killed_ends_bit_for_bit_like_one_that_was_not() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--kills", "1"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].endswith("bit for bit equal")


ENDLESS = """
data = {options = {count = 3, size = 64}, validate = 0}
model = {filters = 2, depth = 1, padding = "same"}
training = {steps = 1000000, batch_size = 2, input_size = 32, log_every = 5, checkpoint_every = 1000000}
"""


@pytest.mark.slow
def test_sigterm_ends_the_command_with_status_143_and_a_checkpoint_within_seconds(tmp_path: Path) -> None:
    config, out = tmp_path / "endless.toml", tmp_path / "run"
    config.write_text(ENDLESS)
    command = [str(Path(sys.executable).parent / "keras-unet"), "train", str(config), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_a_line(out / "log.csv", process)
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=60)
        seconds = time.monotonic() - told
    finally:
        process.kill()
    assert process.returncode == 143, errors
    assert seconds < 15  # a free machine takes one or two
    (step,) = Checkpoints(out / "checkpoints").steps()
    assert said.splitlines()[-1] == f"Stopped at step {step}. The same command goes on from there."
    assert "Traceback" not in errors


def wait_for_a_line(log: Path, process: "subprocess.Popen[str]") -> None:
    begun = time.monotonic()
    while not log.is_file() or len(log.read_text().splitlines()) < 2:
        assert time.monotonic() - begun < 300, "no step was made in time"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
