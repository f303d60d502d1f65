"""Image files named on the command line, their pages, and what results are named after."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from keras_unet import image_io
from keras_unet.commands.value_range import check_range


def image_files(paths: Sequence[Path], out: Path) -> list[Path]:
    """The files among `paths` and the images in the folders among them, results going to the folder `out`.

    Raises:
        FileNotFoundError: If a path does not exist or a folder holds no image.
        ValueError: If two images have one name, or `out` is a file or one of the folders.
    """
    files = list_files(paths, out)
    check_names(files)
    return files


def list_files(paths: Sequence[Path], out: Path) -> list[Path]:
    """As `image_files`, but images of different folders may have one name."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"Expected a folder for the results. Received {str(out)!r}, which is a file.")
    if any(path.is_dir() and path.resolve() == out.resolve() for path in paths):
        raise ValueError(
            f"Expected another folder for the results than that of the images. Received {str(out)!r} for both."
        )
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"Expected an image or a folder of images. Received {str(path)!r}: not found.")
        found = image_io.list_images(path) if path.is_dir() else [path]
        if not found:
            raise FileNotFoundError(f"Expected a folder that holds images. Received {str(path)!r} without one.")
        files += found
    return files


def check_names(files: Sequence[Path]) -> None:
    """Raise a `ValueError` if two images have one name, as results are named after them."""
    stems = [file.stem for file in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(
            f"Expected images with different names, as results are named after them. Received {twice[0]!r} twice."
        )


def page_name(file: Path, number: int, pages: int, taken: set[str]) -> str:
    """What the results of a page are named after: the file's stem, with the page's number in a stack."""
    name = file.stem if pages == 1 else f"{file.stem}_{number:04d}"
    if name in taken:
        raise ValueError(f"{file}: expected a name of its own for each result. Received {name!r} twice.")
    taken.add(name)
    return name


def read_pages(file: Path, value_range: Sequence[float] | None, taken: set[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Read an image file, and warn on stderr if its pixels are far from those that a model was trained on.

    Args:
        file: A single image or a stack.
        value_range: `(low, high)` of the model's pixels; None where it is not known.
        taken: Names of results so far; those of the pages are added.

    Yields:
        What a page's results are named after, and its pixels `(height, width, channels)`.

    Raises:
        ValueError: If the file cannot be read, or a name is taken.
    """
    pages = image_io.read_stack(file)
    check_range(file, pages, value_range)
    for number, page in enumerate(pages):
        yield page_name(file, number, len(pages), taken), page
