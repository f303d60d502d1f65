"""The command as a user types it, for the tests of what it prints and how it ends."""

import io
import os
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from keras_unet.cli import main

COMMAND = Path(sys.executable).parent / "keras-unet"

Ended = subprocess.CompletedProcess[str]


def run(*arguments: object, cwd: Path | None = None) -> Ended:
    """The command's entry point, called in this process. An error that the command does not tell fails the test."""
    words = [str(COMMAND), *map(str, arguments)]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        open(os.devnull) as nothing,
        patch.object(sys, "argv", words),
        patch.object(sys, "stdin", nothing),
        patch.dict(os.environ, COLUMNS="80"),
        chdir(cwd or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def run_process(*arguments: object, cwd: Path | None = None) -> Ended:
    """The command in a process of its own: seconds, for what only a process shows."""
    words = [str(COMMAND), *map(str, arguments)]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def done(*arguments: object, cwd: Path | None = None) -> str:
    """What a command that succeeds prints."""
    ended = run(*arguments, cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def wrong_use(*arguments: object) -> str:
    """What is printed on wrong use, out of its frame."""
    ended = run(*arguments)
    assert ended.returncode == 2, ended.stderr
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", ended.stderr).split())


def mistake(*arguments: object, cwd: Path | None = None) -> str:
    """The sentence that a mistake is answered with."""
    ended = run(*arguments, cwd=cwd)
    assert ended.returncode == 1, ended.stderr
    lines = ended.stderr.strip().splitlines()
    assert lines[-1].startswith("keras-unet: ")
    return lines[-1]
