"""Axes of charts: where ticks stand and what is written at them. Arithmetic alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0)
_NEAR = 1e-9  # of a step: what rounding may take from a value that lies on a tick


@dataclass(frozen=True)
class Axis:
    """From values to places between 0 and 1.

    Args:
        low: Value at 0.
        high: Value at 1, larger than `low`.
        ticks: Values to name, in order.
        logarithmic: Whether equal ratios take equal room; then `low` is positive.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, 0 at `low` and 1 at `high`."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear_axis(values: Sequence[float], count: int = 5) -> Axis:
    """An axis over finite values, with about `count` ticks at multiples of 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) / 2 or 0.5
        low, high = low - margin, high + margin
    step = _nice((high - low) / count)
    first, last = math.floor(low / step + _NEAR), math.ceil(high / step - _NEAR)
    return Axis(first * step, last * step, tuple(index * step for index in range(first, last + 1)))


def log_axis(values: Sequence[float], count: int = 6) -> Axis:
    """A logarithmic axis over positive values, with at most `count` ticks at 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
    first = max(index for index, mark in enumerate(marks) if mark <= low * (1 + _NEAR))
    last = min(index for index, mark in enumerate(marks) if mark >= high * (1 - _NEAR))
    if first == last:
        first, last = first - 1, last + 1
    bottom, top, ticks = marks[first], marks[last], marks[first : last + 1]
    if len(ticks) > count:
        whole = [mark for mark in ticks if f"{mark:e}".startswith("1.0")]
        ticks = whole[:: math.ceil(len(whole) / count)]
    return Axis(bottom, top, tuple(ticks), logarithmic=True)


def in_short(value: float) -> str:
    """A tick's value in few characters, such as `0.05`, `2,000` or `1e-5`."""
    if value and not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def _nice(step: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(factor for factor in _STEPS if step <= factor * power * (1 + _NEAR))
