"""How strongly tiles are varied."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentationSettings:
    """How strongly tiles are varied. Everything random is drawn anew for each tile.

    Args:
        elastic_sigma: Standard deviation of the control vectors of the elastic deformation, in pixels. The paper: 10.
        elastic_points: Control points per side of the tile. The paper: 3.
        rotation_degrees: Largest rotation either way; 180 turns freely.
        shift: Largest shift either way along each axis, in pixels.
        flip_horizontal: Probability of mirroring left and right.
        flip_vertical: Probability of mirroring up and down.
        scale: Smallest and largest magnification, drawn evenly in the logarithm.
        brightness: Largest offset either way, in standard deviations of the image.
        contrast: Largest relative change of the differences from the tile's mean.
        gamma: Largest relative change of the exponent; drawn evenly in the logarithm from 1 / (1 + gamma) up.
        blur: Largest standard deviation of a Gaussian blur, in pixels of the tile; drawn evenly from 0 up. With `scale`
            it makes images of a low resolution.
        noise: Largest standard deviation of Gaussian noise per pixel, as a fraction of that of the image.

    Raises:
        ValueError: If a setting is outside its range.
    """

    elastic_sigma: float = 10.0
    elastic_points: int = 3
    rotation_degrees: float = 180.0
    shift: float = 16.0
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    scale: tuple[float, float] = (1.0, 1.0)
    brightness: float = 0.2
    contrast: float = 0.2
    gamma: float = 0.2
    blur: float = 0.0
    noise: float = 0.1

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                nearest = low if not value > low else high
                raise ValueError(f"Expected {name} in {low:g} … {high:g}. Received {value}; nearest is {nearest:g}.")
        if self.elastic_points != int(self.elastic_points):
            raise ValueError(f"Expected a whole number of elastic_points. Received {self.elastic_points}.")
        if len(self.scale) != 2 or not 0.1 <= self.scale[0] <= self.scale[1] <= 10.0:
            raise ValueError(f"Expected scale as (smallest, largest) within 0.1 … 10. Received {self.scale}.")

    @classmethod
    def none(cls) -> "AugmentationSettings":
        """Return settings that change nothing: tiles are cut as they are."""
        off = dict.fromkeys(_RANGES, 0.0) | {"elastic_points": 3}
        return cls(**off)  # type: ignore[arg-type]

    @property
    def varies_gray(self) -> bool:
        """Whether gray values change."""
        return any((self.brightness, self.contrast, self.gamma, self.noise))


_RANGES = {
    "elastic_sigma": (0.0, 1000.0),
    "elastic_points": (2, 64),
    "rotation_degrees": (0.0, 180.0),
    "shift": (0.0, 1e6),
    "flip_horizontal": (0.0, 1.0),
    "flip_vertical": (0.0, 1.0),
    "brightness": (0.0, 10.0),
    "contrast": (0.0, 1.0),
    "gamma": (0.0, 10.0),
    "blur": (0.0, 10.0),
    "noise": (0.0, 10.0),
}
