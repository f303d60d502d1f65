"""One thread an operation for the tests of augmentation, set before TensorFlow is imported."""

import os

import pytest

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

pytest.register_assert_rewrite("warped")
