"""One training at a time in a run folder: a lock that the system takes back when its holder dies."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .config import ConfigError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a run folder while the block runs.

    The folder is made if need be, and removed again if nothing else is in it afterwards. Where the system or the file
    system knows no locks, nobody is kept out.

    Raises:
        ConfigError: If another training holds the folder.
        OSError: If the folder cannot be made or written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    lock = _take(path, folder)
    try:
        yield
    finally:
        # Removed while it is still held: whoever opened it before finds another file, or none, under the name.
        with suppress(OSError):
            path.unlink()
        os.close(lock)
        with suppress(OSError):
            for empty in made:
                empty.rmdir()


def _take(path: Path, folder: Path) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(lock)
            if _is_still(path, lock):
                return lock
        except BlockingIOError:
            os.close(lock)
            raise ConfigError(
                f"Expected a run folder in which no other process trains. One trains in {str(folder)!r} at the moment; "
                "choose another folder, or wait for its end."
            ) from None
        os.close(lock)


def _lock(lock: int) -> None:
    """Lock an open file.

    Raises:
        BlockingIOError: If another process has locked it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise BlockingIOError(error.errno, error.strerror) from None


def _is_still(path: Path, lock: int) -> bool:
    """Whether the file that was locked is the one of that name: its former holder may just have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(lock))
    except FileNotFoundError:
        return False
