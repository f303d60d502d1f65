"""Integer arithmetic of the U-Net: legal sizes, context, skip crops, receptive field.

Ronneberger et al. 2015, section 2: "it is important to select the input tile size such that all 2x2 max-pooling
operations are applied to a layer with an even x- and y-size". Everything here is exact and needs no TensorFlow.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from keras_unet.utils.argument_checks import whole_number

Padding = Literal["valid", "same"]
Upsampling = Literal["transposed", "bilinear"]

PADDINGS: tuple[Padding, ...] = ("valid", "same")
UPSAMPLINGS: tuple[Upsampling, ...] = ("transposed", "bilinear")

_MAX_DEPTH = 8


@dataclass(frozen=True)
class Geometry:
    """Sizes of a U-Net with two 3x3 convolutions per level and 2x2 max pooling.

    Rows and columns obey the same rule, so every method takes one axis: a size or an index in pixels.

    Args:
        depth: Number of 2x2 poolings on the contracting path; 4 in the paper.
        padding: `"valid"` as in the paper, or `"same"` (zero-padded convolutions, output as large as the input).
        upsampling: `"transposed"` (2x2 up-convolution of the paper) or `"bilinear"` (factor two, half-pixel
            centres). Bilinear interpolation reaches one pixel past each edge, so a valid net crops that pixel.

    Raises:
        ValueError: If `depth` is not in 1 … 8, or a name is unknown.
    """

    depth: int = 4
    padding: Padding = "valid"
    upsampling: Upsampling = "transposed"

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", whole_number(self.depth, "depth"))
        if not 1 <= self.depth <= _MAX_DEPTH:
            raise ValueError(f"Expected a depth between 1 and {_MAX_DEPTH}. Received depth={self.depth!r}.")
        if self.padding not in PADDINGS:
            raise ValueError(f'Expected padding "valid" or "same". Received padding={self.padding!r}.')
        if self.upsampling not in UPSAMPLINGS:
            raise ValueError(f'Expected upsampling "transposed" or "bilinear". Received {self.upsampling!r}.')

    @property
    def stride(self) -> int:
        """Shift in pixels under which the net is equivariant: two to the power of the depth."""
        return 1 << self.depth

    @property
    def _up_crop(self) -> int:
        """Pixels per side that a valid net gives up after each up-sampling."""
        return 1 if self.padding == "valid" and self.upsampling == "bilinear" else 0

    def _sizes(self, bottom: int) -> tuple[list[int], list[int], int]:
        """Feature-map sizes around a bottom level whose *input* has `bottom` pixels.

        Returns:
            Skip sizes from the top level down, sizes after each up-sampling from the top level down, output size.
        """
        lost = 4 if self.padding == "valid" else 0
        skips: list[int] = []
        size = bottom
        for _ in range(self.depth):
            size *= 2
            skips.insert(0, size)
            size += lost
        ups: list[int] = []
        size = bottom - lost
        for _ in range(self.depth):
            size = 2 * size - 2 * self._up_crop
            ups.insert(0, size)
            size -= lost
        return skips, ups, size

    @cached_property
    def smallest_input(self) -> int:
        """The smallest legal input size in pixels: the first with an output of at least one pixel."""
        bottom = 1
        while self._sizes(bottom)[2] < 1:
            bottom += 1
        return self._sizes(bottom)[0][0] + (4 if self.padding == "valid" else 0)

    @cached_property
    def border(self) -> int:
        """Input size minus output size in pixels: 184 in the paper, 0 for padded nets."""
        skips, _, output = self._sizes(self.stride)
        return skips[0] + (4 if self.padding == "valid" else 0) - output

    @cached_property
    def margin(self) -> int:
        """Mirrored context in pixels that a tile needs on each side: 92 in the paper.

        For a valid net this is half of `border`. For a padded net it is the reach of the receptive field rounded up
        to a multiple of `stride`: no output pixel that far inside a tile sees the zeros around it.
        """
        if self.padding == "valid":
            return self.border // 2
        reach = max(
            max(index - first, last - index)
            for index in range(self.stride)
            for first, last in [self.receptive_field(index)]
        )
        return (reach + self.stride - 1) // self.stride * self.stride

    @cached_property
    def skip_crops(self) -> tuple[int, ...]:
        """Pixels cropped per side from each skip connection, top level first: (88, 40, 16, 4) in the paper."""
        skips, ups, _ = self._sizes(2 * self.stride)
        return tuple((skip - up) // 2 for skip, up in zip(skips, ups, strict=True))

    def is_legal(self, input_size: int) -> bool:
        """Whether an input of `input_size` pixels passes every pooling evenly and leaves an output."""
        return input_size >= self.smallest_input and (input_size - self.smallest_input) % self.stride == 0

    def nearest_input_sizes(self, input_size: int) -> tuple[int | None, int]:
        """The nearest legal input sizes at or below (None if there is none) and at or above `input_size`."""
        steps = (input_size - self.smallest_input) // self.stride
        if steps < 0:
            return None, self.smallest_input
        below = self.smallest_input + steps * self.stride
        return below, below if below == input_size else below + self.stride

    def check_input(self, input_size: int, axis: str = "size") -> None:
        """Refuse an illegal input size.

        Raises:
            ValueError: Naming the nearest legal sizes.
        """
        if self.is_legal(whole_number(input_size, f"the input {axis}")):
            return
        below, above = self.nearest_input_sizes(input_size)
        nearest = f"{above}" if below is None else f"{below} or {above}"
        raise ValueError(
            f"Expected an input {axis} of {self.smallest_input}, {self.smallest_input + self.stride}, "
            f'{self.smallest_input + 2 * self.stride}, … pixels for a "{self.padding}" U-Net of depth {self.depth}. '
            f"Received {input_size}. Nearest legal: {nearest}."
        )

    def output_size(self, input_size: int) -> int:
        """Output pixels of an input of `input_size` pixels: 388 for 572 in the paper (figure 1).

        Raises:
            ValueError: If `input_size` is illegal.
        """
        self.check_input(input_size)
        return input_size - self.border

    def input_size(self, output_size: int) -> int:
        """Input pixels that give exactly `output_size` pixels: 572 for 388 in the paper.

        Raises:
            ValueError: If no legal input gives `output_size`; the message names the nearest that exist.
        """
        size = output_size + self.border
        if self.is_legal(size):
            return size
        below, above = self.nearest_input_sizes(size)
        nearest = " or ".join(str(n - self.border) for n in (below, above) if n is not None)
        raise ValueError(
            f'Expected an output size that a "{self.padding}" U-Net of depth {self.depth} can give. '
            f"Received {output_size}. Nearest legal: {nearest}."
        )

    def covering_input_size(self, pixels: int) -> int:
        """The smallest legal input size whose output has at least `pixels` pixels."""
        return self.nearest_input_sizes(max(pixels, 1) + self.border)[1]

    def receptive_field(self, output_index: int) -> tuple[int, int]:
        """First and last input index that output pixel `output_index` depends on, image edges left aside.

        Walks the net backwards with closed intervals; the answer repeats with period `stride`.
        """
        return self._needs(output_index, output_index, 0)

    def _needs(self, first: int, last: int, level: int) -> tuple[int, int]:
        """Interval of the input of `level` behind an interval of that level's output."""
        before, after = (0, 4) if self.padding == "valid" else (2, 2)
        first, last = first - before, last + after
        if level < self.depth:
            up_first, up_last = self._before_upsampling(first + self._up_crop, last + self._up_crop)
            below_first, below_last = self._needs(up_first, up_last, level + 1)
            crop = self.skip_crops[level]
            first = min(first + crop, 2 * below_first)
            last = max(last + crop, 2 * below_last + 1)
            first, last = first - before, last + after
        return first, last

    def _before_upsampling(self, first: int, last: int) -> tuple[int, int]:
        if self.upsampling == "transposed":
            return first // 2, last // 2
        return (first - 1) // 2, (last + 1) // 2


def output_size(
    input_size: int, depth: int = 4, padding: Padding = "valid", upsampling: Upsampling = "transposed"
) -> int:
    """Output pixels of a U-Net for `input_size` input pixels along one axis: `output_size(572) == 388`.

    Raises:
        ValueError: If the size is illegal; the message names the nearest legal ones.
    """
    return Geometry(depth, padding, upsampling).output_size(input_size)


def input_size(
    output_size: int, depth: int = 4, padding: Padding = "valid", upsampling: Upsampling = "transposed"
) -> int:
    """Input pixels of a U-Net that give `output_size` pixels along one axis: `input_size(388) == 572`.

    Raises:
        ValueError: If no input gives that size; the message names the nearest outputs that exist.
    """
    return Geometry(depth, padding, upsampling).input_size(output_size)
