"""The update rule and the course of the learning rate, from the section `[optimizer]`."""

import math
from typing import Any

import keras
import tensorflow as tf

from .config import Optimizer

# Names of TensorFlow's variables, on each replica its own: "logits/bias:0", "logits/bias/replica_1:0".
_NOT_DECAYING = r"\b(bias|gamma|beta)(/replica_\d+)?(:\d+)?$"


@keras.saving.register_keras_serializable(package="keras_unet")
class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A rise to the peak, then constant, half a cosine, a power of the remaining share, or a geometric sequence.

    Args:
        peak: Learning rate after the warm-up.
        steps: Steps of the whole run, at which `end` is reached.
        decay: `"constant"`, `"cosine"`, `"poly"` or `"exponential"`, which may rise as well as fall.
        warmup_steps: Steps of the rise; step 0 already has `peak / warmup_steps`.
        end: Learning rate at `steps`; of no meaning for `"constant"`.
        power: Exponent of `"poly"`: `(peak - end) * (1 - step / steps) ** power + end` without warm-up.

    Raises:
        ValueError: If `decay` is unknown, or `"exponential"` without an `end` above 0.
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        decay: str = "constant",
        warmup_steps: int = 0,
        end: float = 0.0,
        power: float = 0.9,
    ) -> None:
        super().__init__()
        if decay not in ("constant", "cosine", "poly", "exponential"):
            raise ValueError(f'Expected decay "constant", "cosine", "poly" or "exponential". Received {decay!r}.')
        if decay == "exponential" and end <= 0:
            raise ValueError(f'Expected an end above 0 with decay "exponential". Received {end}.')
        self._peak, self._steps, self._decay = peak, steps, decay
        self._warmup_steps, self._end, self._power = warmup_steps, end, power

    def __call__(self, step: Any) -> Any:
        """Learning rate of a step counted from 0, a float32 scalar."""
        step = keras.ops.cast(step, "float32")
        share = (step - self._warmup_steps) / max(self._steps - self._warmup_steps, 1)
        rate = self._after_warm_up(keras.ops.clip(share, 0.0, 1.0))
        rise = self._peak * (step + 1.0) / max(self._warmup_steps, 1)
        return keras.ops.where(step < self._warmup_steps, rise, rate)

    def _after_warm_up(self, share: Any) -> Any:
        if self._decay == "exponential":
            return self._peak * keras.ops.exp(math.log(self._end / self._peak) * share)
        return self._end + (self._peak - self._end) * self._remaining(share)

    def _remaining(self, share: Any) -> Any:
        """1 at the peak, 0 at the end of the run."""
        if self._decay == "cosine":
            return 0.5 * (1.0 + keras.ops.cos(math.pi * share))
        if self._decay == "poly":
            return (1.0 - share) ** self._power
        return keras.ops.ones_like(share)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "peak": self._peak,
            "steps": self._steps,
            "decay": self._decay,
            "warmup_steps": self._warmup_steps,
            "end": self._end,
            "power": self._power,
        }


class Centralized(keras.optimizers.Optimizer):
    """Mixin of an update rule: the updates of the weights of a filter have a mean of 0 over the filter's inputs.

    Behind a ReLU all inputs are positive, so the gradients of a filter's weights mostly have one sign, and Adam turns
    each into a step of the whole learning rate. The sum over thousands of inputs pushes the filter below 0 on every
    pixel within a few updates, where no gradient reaches it any more. A filter's bias still moves all its pixels.

    Reference:
        Yong et al., Gradient centralization, ECCV 2020, https://arxiv.org/abs/2004.01461; as in the authors' code with
        `gc_loc=False` it is what the update rule made of the gradients that is centralized.
    """

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        """Update one variable of a `UNet` in place; of biases and of filters with one input all of the update."""
        axes = _input_axes(variable)
        if math.prod(variable.shape[axis] for axis in axes) <= 1:
            super().update_step(gradient, variable, learning_rate)
            return
        before = tf.identity(variable)
        super().update_step(gradient, variable, learning_rate)
        update = variable - before
        variable.assign(before + update - tf.reduce_mean(update, axes, keepdims=True))


def _input_axes(variable: Any) -> tuple[int, ...]:
    """Axes of a variable over which lie the inputs of a filter; none if it is no kernel of a convolution."""
    if len(variable.shape) != 4:
        return ()
    # Up-convolutions end in (filters, inputs), and one of their 2 x 2 taps makes an output pixel; bilinear
    # up-sampling has a convolution of that name, of 1 x 1.
    is_up = "upconv" in variable.name and variable.shape[:2] == (2, 2)
    return (3,) if is_up else (0, 1, 2)


@keras.saving.register_keras_serializable(package="keras_unet")
class CentralizedSGD(Centralized, keras.optimizers.SGD):
    """Keras' SGD with centralized updates."""


@keras.saving.register_keras_serializable(package="keras_unet")
class CentralizedAdam(Centralized, keras.optimizers.Adam):
    """Keras' Adam with centralized updates."""


@keras.saving.register_keras_serializable(package="keras_unet")
class CentralizedAdamW(Centralized, keras.optimizers.AdamW):
    """Keras' AdamW with centralized updates."""


_RULES = {
    ("sgd", False): keras.optimizers.SGD,
    ("adam", False): keras.optimizers.Adam,
    ("adamw", False): keras.optimizers.AdamW,
    ("sgd", True): CentralizedSGD,
    ("adam", True): CentralizedAdam,
    ("adamw", True): CentralizedAdamW,
}


def build_optimizer(settings: Optimizer, steps: int, precision: str = "float32") -> keras.optimizers.Optimizer:
    """The optimizer of a run.

    Args:
        settings: Section `[optimizer]`.
        steps: Steps of the run, over which the learning rate decays.
        precision: With `"mixed_float16"` the loss is scaled, so that small gradients do not vanish.
    """
    schedule = WarmUpAndDecay(
        settings.learning_rate,
        steps,
        settings.schedule,
        settings.warmup_steps,
        settings.end_learning_rate,
        settings.power,
    )
    optimizer = _update_rule(settings, schedule)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


def _update_rule(settings: Optimizer, schedule: WarmUpAndDecay) -> keras.optimizers.Optimizer:
    common: dict[str, Any] = {
        "learning_rate": schedule,
        "global_clipnorm": settings.clip_norm or None,
        "weight_decay": settings.weight_decay or None,
        "use_ema": settings.ema_decay > 0,
        "ema_momentum": settings.ema_decay,
    }
    if settings.name == "sgd":
        common |= {"momentum": settings.momentum, "nesterov": settings.nesterov}
    if settings.name == "adamw":
        common["weight_decay"] = settings.weight_decay
    rule = _RULES[settings.name, settings.centralize](**common)
    # Biases, and scale and offset of a normalization: to pull them to 0 does not keep a net simple.
    rule.exclude_from_weight_decay(var_names=[_NOT_DECAYING])
    return rule
