"""What several tests share."""

import os
from pathlib import Path
from typing import Any

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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a folder, which share nets, exports and servers, in one process, as those of a file are."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path, _, _ = nodeid.partition("::")
            folders = Path(path).parts[:-1]
            return folders[1] if len(folders) > 1 else path

    return ByFolder(config, log)
