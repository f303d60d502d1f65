"""Version folders that are never half there: written aside on the same file system, renamed at the end.

A server polls `<base>/` for folders whose names are numbers and loads the largest, so a folder must be complete when it
gets its number.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_unet.utils.argument_checks import whole_number

try:
    import fcntl
except ImportError:  # Windows: folders left behind by a killed export are cleared without asking who uses them
    fcntl = None  # type: ignore[assignment]

_ASIDE = ".keras-unet-export-"
_LARGEST = 2**63 - 1  # of the numbers that TensorFlow Serving reads


def existing_versions(base: Path) -> list[int]:
    """The version numbers under `base`, in increasing order."""
    if not base.is_dir():
        return []
    return sorted(int(child.name) for child in base.iterdir() if child.name.isdecimal() and child.is_dir())


def chosen_version(base: Path, version: int | None) -> int:
    """`version`, or the next free number.

    Raises:
        ValueError: If `version` is no positive integer of 64 bits, or TensorFlow finds no model in a folder so named.
        FileExistsError: If that version is there already, or a file is where a folder should be.
    """
    _check_name(base)
    for place in (base, *base.parents):
        if place.exists() and not place.is_dir():
            raise FileExistsError(f"Expected a folder for the versions. Received {str(place)!r}, which is a file.")
    versions = existing_versions(base)
    following = max(versions, default=0) + 1
    number = _checked(following if version is None else version)
    if number in versions:
        raise FileExistsError(
            f"Expected a new version under {str(base)!r}. Received {version}, which exists. Next free: {following}."
        )
    if os.path.lexists(base / str(number)) and not (base / str(number)).is_dir():
        raise FileExistsError(
            f"Expected room for the folder of version {number}. Received {str(base / str(number))!r}, which is a file."
        )
    return number


def _check_name(base: Path) -> None:
    place = base.absolute().as_posix()
    try:
        place.encode()
    except UnicodeEncodeError:
        raise ValueError(f"Expected a folder whose name is text. Received {place!r}.") from None
    # TensorFlow looks for the files of a SavedModel by patterns, in which these are no letters.
    if set("[\\") & set(place):
        raise ValueError(
            f"Expected a folder without [ or \\ in its path, where TensorFlow finds no model. Received {place!r}."
        )


def _checked(version: int) -> int:
    try:
        number = whole_number(version, "version", 1)
    except ValueError:
        number = _LARGEST + 1
    if number > _LARGEST:
        raise ValueError(f"Expected a version number of at least 1 and at most {_LARGEST}. Received {version!r}.")
    return number


@contextmanager
def version_folder(base: Path, version: int) -> Iterator[Path]:
    """A folder to fill; it becomes `base/version` when the block ends, and vanishes if the block fails.

    A killed process leaves a hidden folder, which the next export removes.

    Raises:
        FileExistsError: If another process has written that version meanwhile.
    """
    base.mkdir(parents=True, exist_ok=True)
    with _alone(base):  # between its making and its locking another export would take the folder for abandoned
        _clear_abandoned(base)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=base))
        lock = _locked(aside)
    try:
        yield aside
        aside.chmod(0o755 & ~_umask())  # mkdtemp keeps others out; a server runs as another user
        _rename(aside, base / str(version))
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _rename(aside: Path, final: Path) -> None:
    try:
        aside.rename(final)
    except OSError:
        if final.exists():
            raise FileExistsError(f"Expected a new version. Received {str(final)!r}, which exists by now.") from None
        raise


def _clear_abandoned(base: Path) -> None:
    for folder in base.glob(f"{_ASIDE}*"):
        lock = _locked(folder)
        if fcntl is None or lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@contextmanager
def _alone(base: Path) -> Iterator[None]:
    """While entered, no other process is in here for the same folder."""
    if fcntl is None:
        yield
        return
    handle = os.open(base, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _locked(folder: Path) -> int | None:
    """A handle that locks `folder` until it is closed or the process ends; None if another process holds it."""
    if fcntl is None:
        return None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # renamed meanwhile: finished by the export that made it
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
