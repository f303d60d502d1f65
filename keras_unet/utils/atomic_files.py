"""Files that are whole or absent, whenever the process or the disk gives up; whatever goes wrong names the file."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL = ".partial-"


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A name to write to; when the block ends well, the file is put on disk and takes the place of `path`.

    The name is in the same folder, keeps the suffix and is nobody else's. If the block raises, the unfinished file is
    removed and what was at `path` stays; a killed process leaves it, for `remove_partial`. A link stays, and the file
    it leads to is replaced.

    Raises:
        FileExistsError: If a device or a pipe is at `path`, which a file would take the place of.
        OSError: As `naming`.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file() and not path.is_dir():
        raise FileExistsError(f"Expected the name of a file to write. Received {str(path)!r}, a device or a pipe.")
    aside = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        with naming(path):
            yield aside
            with open(aside, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    _sync_folder(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an error of writing name `path`: that the disk is full, the system says without the file.

    Raises:
        OSError: What the block raised, with the same number if it had one.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # NumPy and Pillow report short writes in words of their own
            raise OSError(f"Expected to write {str(path)!r}. Received: {error}") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write a small file as a whole. Of a name that is no text, as file systems allow, the bytes' numbers are shown."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def check_writable(path: Path, folder: bool = False) -> None:
    """Refuse a place that cannot be written to, before work is done whose result would be lost.

    Args:
        path: Of a file, or of a folder; it and the folders above it need not be there yet.
        folder: Whether it is a folder.

    Raises:
        OSError: If something of another kind is there or above it, or it is protected.
    """
    if path.exists() and path.is_dir() != folder:
        wanted, there = ("folder", "a file") if folder else ("file", "a folder")
        raise FileExistsError(f"Expected the name of a {wanted} to write. Received {str(path)!r}, which is {there}.")
    above = path.absolute() if folder else path.absolute().parent
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise NotADirectoryError(f"Expected a folder to write {str(path)!r} in. Received {str(above)!r}, a file.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(f"Expected a folder to write {str(path)!r} in. Received {str(above)!r}, a protected one.")


def remove_partial(folder: Path) -> None:
    """Remove what killed processes left in a folder of ours."""
    for leftover in folder.glob(f"{PARTIAL}*"):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a loss of power, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
