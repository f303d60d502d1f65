"""Files that are whole or absent, whenever the process or the disk gives up."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL = ".partial-"


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A name to write to; when the block ends well, the file is put on disk and takes the place of `path`.

    The name is in the same folder and keeps the suffix. If the block raises, the unfinished file is removed and
    what was at `path` stays.
    """
    aside = path.with_name(f"{PARTIAL}{path.name}")
    try:
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small file as a whole."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a loss of power, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
