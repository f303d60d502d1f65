"""What several tests share."""

import os
from pathlib import Path

import hypothesis
import pytest

# How long an example takes is the machine's affair: beside other work, or with the first import in it, seconds.
hypothesis.settings.register_profile("keras-unet", deadline=None)
hypothesis.settings.load_profile("keras-unet")

pytest.register_assert_rewrite("helpers")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # nets are tiny, and another process has the other core


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("KERAS_UNET_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data: set KERAS_UNET_DATA to its folder ({folder} does not exist)")
    return folder
