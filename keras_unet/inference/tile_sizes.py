"""Sizes of the tiles that overlap-tile inference cuts an image into, in input pixels along one axis."""

import math
import os
from pathlib import Path

from keras_unet.models.geometry import Geometry
from keras_unet.utils.argument_checks import whole_number

_LARGEST_TILE = 1024  # pixels; past that, a larger tile of the paper's net saves less than 7 % of the arithmetic
BYTES_PER_FILTER = 32  # measured peak of a forward pass on CPU: 10 to 24 bytes per tile pixel and top-level filter
_FALLBACK_MEMORY = 2 * 1024**3


def tile_context(geometry: Geometry) -> int:
    """Input pixels of a tile beyond the multiple of the stride that it contributes: 188 for the paper's net.

    That is 572 - 384: of the 388 output pixels, four lie past the last multiple of 16.
    """
    if geometry.padding == "same":
        return 2 * geometry.margin
    return geometry.border + (geometry.smallest_input - geometry.border) % geometry.stride


def default_tile(geometry: Geometry, filters: int, memory: int) -> int:
    """The largest tile size, in input pixels and at most 1024, whose forward pass takes about `memory` bytes."""
    side = math.isqrt(memory // (filters * BYTES_PER_FILTER))
    return largest_tile(geometry, min(side, _LARGEST_TILE))


def largest_tile(geometry: Geometry, size: int) -> int:
    """The largest tile size of at most `size` input pixels; the smallest there is where all are larger."""
    smallest = tile_context(geometry) + geometry.stride
    return smallest + max(size - smallest, 0) // geometry.stride * geometry.stride


def check_tile(geometry: Geometry, size: int, axis: str) -> None:
    """Refuse a tile size, in input pixels along the axis of that name, that does not advance by the stride.

    Raises:
        ValueError: Naming the nearest legal sizes.
    """
    if isinstance(size, bool) or not isinstance(size, int):
        raise ValueError(f"Expected a tile {axis} in whole pixels. Received {size!r}.")
    smallest = tile_context(geometry) + geometry.stride
    if size >= smallest and (size - smallest) % geometry.stride == 0:
        return
    below = smallest + (size - smallest) // geometry.stride * geometry.stride
    nearest = f"{smallest}" if size < smallest else f"{below} or {below + geometry.stride}"
    raise ValueError(
        f"Expected a tile {axis} of {smallest}, {smallest + geometry.stride}, {smallest + 2 * geometry.stride}, … "
        f"input pixels. Received {size}. Nearest legal: {nearest}."
    )


def check_batch_size(batch_size: int) -> int:
    """`batch_size` as an integer of Python's own.

    Raises:
        ValueError: If it is no integer, or less than 1.
    """
    return whole_number(batch_size, "the batch size in tiles", 1)


def free_memory() -> int:
    """Bytes of memory that are free, or 2 GiB where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _FALLBACK_MEMORY
