"""Several files, some of which cannot be segmented: the others are, and the exit status tells."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Failures:
    """Counts the files that failed.

    Args:
        files: How many there are; of one alone the error is raised as it is.
    """

    def __init__(self, files: int) -> None:
        self._files, self._failed = files, set[str]()

    @contextmanager
    def told(self, file: object) -> Iterator[None]:
        """Inside, a `ValueError` is told on stderr and ends the block only."""
        try:
            yield
        except ValueError as error:
            if self._files == 1:
                raise
            self._failed.add(str(file))
            print(f"keras-unet: {' '.join(str(error).split())}", file=sys.stderr)

    def check(self) -> None:
        """Raise a `ValueError` if any file failed."""
        if self._failed:
            raise ValueError(
                f"Expected to segment {self._files} files. Received {len(self._failed)} that could not be, told above."
            )
