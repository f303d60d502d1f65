"""The command as a user types it, for the tests of what it prints and how it ends."""

import re
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from keras_unet.cli import app


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "keras-unet", *arguments]
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def wrong_use(*arguments: object) -> str:
    """What is printed on wrong use, out of its frame."""
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    assert done.exit_code == 2, done.output
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())


def mistake(*arguments: object, cwd: Path | None = None) -> str:
    """The sentence that a mistake is answered with."""
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("keras-unet: ")
    assert "Traceback" not in done.stderr
    return lines[-1]
