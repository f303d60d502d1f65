"""What is finished of a long piece of work, on disk, so that another process can go on with it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Journal:
    """A text file: the settings on one line, then a line per finished row of tiles. Locked while it is open.

    An empty journal says nothing, and is removed when it is closed.

    Args:
        path: The file; it need not exist.

    Raises:
        BlockingIOError: On entering, if another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, open(path, "a+b", buffering=0)  # noqa: SIM115  # open until `__exit__`

    def __enter__(self) -> "Journal":
        self._lock()
        while not self._is_in_place():  # removed by the process that held it: whoever comes next makes another
            self._file.close()
            self._file = open(self._path, "a+b", buffering=0)  # noqa: SIM115  # open until `__exit__`
            self._lock()
        return self

    def __exit__(self, *_: object) -> None:
        if os.fstat(self._file.fileno()).st_size == 0:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise BlockingIOError(
                f"Expected one process at a time to write a file. Received {str(self._path)!r}, held by another."
            ) from None

    def _is_in_place(self) -> bool:
        """Whether the file that is locked is the one that others will open."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._path))
        except FileNotFoundError:
            return False

    def read(self) -> tuple[dict[str, Any], int, int | None]:
        """Settings, rows finished, size of the partial file up to there; a line that a kill cut short is removed."""
        self._file.seek(0)
        text = self._file.read()
        self._file.truncate(text.rfind(b"\n") + 1)
        return parsed(text)

    def clear(self) -> None:
        """Forget everything."""
        self._file.truncate(0)

    def start(self, settings: Mapping[str, Any], end: int) -> None:
        """Begin with a partial file of `end` bytes."""
        self._append(f"{json.dumps(settings)}\n0 {end}\n")

    def add(self, done: int, end: int) -> None:
        """Record that so many rows are finished and end at `end` in the partial file."""
        self._append(f"{done} {end}\n")

    def _append(self, text: str) -> None:
        self._file.write(text.encode())
        os.fsync(self._file.fileno())


def parsed(journal: bytes) -> tuple[dict[str, Any], int, int | None]:
    """Settings, rows finished and end, of the lines that are whole; of a damaged journal as of an empty one."""
    lines = journal.split(b"\n")[:-1]
    try:
        settings, (done, end) = json.loads(lines[0]), map(int, lines[-1].split())
    except (ValueError, IndexError):
        return {}, 0, None
    return (settings, done, end) if isinstance(settings, dict) and len(lines) > 1 else ({}, 0, None)
