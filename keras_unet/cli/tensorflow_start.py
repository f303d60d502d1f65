"""TensorFlow's start, put off until a subcommand needs it, and quiet."""

import os
import sys
import tempfile


def import_tensorflow(trains: bool = False) -> None:
    """Import TensorFlow without its start-up messages, which no setting silences; an error is shown with them.

    Args:
        trains: Whether gradients are computed. TensorFlow turns oneDNN on by itself on CPUs with AVX512-VNNI alone; on
            others it makes gradients of convolutions faster, and predictions slower.
    """
    if trains:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")  # advice on retracing is for programmers
            tf.config.list_physical_devices()  # looks for a GPU and complains where there is none
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
