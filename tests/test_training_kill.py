"""A run that is killed: the script that kills many times, once."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kill_resume.py"


@pytest.mark.skipif(sys.platform != "linux", reason="forks its runs")
def test_a_run_that_was_killed_ends_bit_for_bit_like_one_that_was_not() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--kills", "1"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].endswith("bit for bit equal")
