"""What answers without TensorFlow, or without any heavy library: seconds that nobody has to wait for.

One process does one thing after the other and says after each what it has loaded more.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from keras_unet import image_io

TENSORFLOW = {"tensorflow", "keras"}
HEAVY = TENSORFLOW | {"cv2", "scipy", "numpy"}

STEPS = {
    "the package and its command": ("import keras_unet; from keras_unet import cli", HEAVY),
    "scores": ("import keras_unet.metrics.scores, keras_unet.metrics.salient", TENSORFLOW),
    "challenge": ("import keras_unet.challenge", TENSORFLOW),
    "evaluate of results": (
        "cli.app(['evaluate', 'out.png', '--truth', 'truth.png'], standalone_mode=False)",
        TENSORFLOW,
    ),
}

SCRIPT = """
import contextlib, io, json, sys
loaded, before = {}, set()
for name, code in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code)
    loaded[name] = sorted(set(sys.modules) - before)
    before = set(sys.modules)
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Modules loaded more by each step."""
    folder = tmp_path_factory.mktemp("results")
    for name in ("out.png", "truth.png"):
        image_io.write_labels(folder / name, np.eye(8, dtype=np.uint8))
    codes = json.dumps({name: code for name, (code, _) in STEPS.items()})
    done = subprocess.run([sys.executable, "-c", SCRIPT, codes], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("step", STEPS)
def test_no_heavy_library_is_loaded_by(step: str, loaded: dict[str, list[str]]) -> None:
    _, heavy = STEPS[step]
    assert heavy & set(loaded[step]) == set()


def test_what_a_step_loads_is_seen(loaded: dict[str, list[str]]) -> None:
    assert "numpy" in loaded["scores"]
    assert "keras_unet.commands.comparison" in loaded["evaluate of results"]
