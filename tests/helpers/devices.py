"""Several devices, which TensorFlow makes of one only before it begins: in a process of its own."""

import subprocess
import sys
from pathlib import Path

import tensorflow as tf

from helpers.runs import noise

_FIND_HELPERS = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
"""
_TWO_DEVICES = """
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
from keras_unet.training.distribution import choose_strategy
pair = choose_strategy(["CPU:0", "CPU:1"])
assert pair.num_replicas_in_sync == 2
"""


def run_script(script: str, cwd: Path | None = None) -> None:
    """In a process of its own, which finds what is in `helpers`."""
    command = [sys.executable, "-c", _FIND_HELPERS + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]


def run_on_two_devices(*scripts: str) -> None:
    """One after the other in one process, with the strategy `pair`."""
    run_script("\n".join([_TWO_DEVICES, *scripts]))


def large(batches: int) -> tf.data.Dataset:
    """Batches as large as several of `noise()` together."""
    return noise().unbatch().batch(2 * batches)
