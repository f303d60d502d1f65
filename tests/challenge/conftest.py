"""The Cell Tracking Challenge's own data for the tests of its metrics."""

import pytest


@pytest.fixture
def vectors(real_data):
    """The Cell Tracking Challenge's own test data and logs."""
    folder = real_data / "ctc_evaluation_vectors"
    if not folder.is_dir():
        pytest.skip(f"no test data of the Cell Tracking Challenge: {folder} does not exist")
    return folder
