"""What TensorBoard is given, read from the event files; messages are declared as its own `.proto` files do."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2
from helpers.runs import cells, quiet, tiny
from helpers.stub_training import stubbed

from keras_unet import training
from keras_unet.training import hyperparameters, monitoring
from keras_unet.training.monitoring import Board
from keras_unet.visualization import overlays

Values = dict[str, list[tuple[int, Any]]]


def written(folder: Path) -> Values:
    """Step and value of each summary, by its tag."""
    values: Values = defaultdict(list)
    (events,) = folder.iterdir()
    for record in tf.data.TFRecordDataset(str(events)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            values[value.tag].append((event.step, value))
    return values


def plugin(values: Values, tag: str) -> tuple[str, int]:
    metadata = values[tag][0][1].metadata
    return metadata.plugin_data.plugin_name, metadata.data_class


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Values:
    """What a whole run writes."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with stubbed():
        training.run(tiny(training_histograms=True), folder, data=cells(), say=quiet)
    return written(folder / "tensorboard")


def test_scalars_come_at_each_line_of_the_log_and_panels_at_each_validation(board: Values) -> None:
    steps = {tag: [step for step, _ in values] for tag, values in board.items()}
    assert steps["loss"] == [2, 3, 4, 6]
    assert steps["validation/mean_iou"] == steps["validation/panels"] == [3, 6]
    assert steps["dead_filters/bottom"] == steps["dead_filters/up0"] == [3, 6]
    assert plugin(board, "loss") == ("scalars", 1)
    assert plugin(board, "validation/panels") == ("images", 3)


def test_panels_are_pictures_of_their_declared_size(board: Values) -> None:
    """Four of 32 pixels side by side under a caption."""
    width, height, *encoded = tf.make_ndarray(board["validation/panels"][0][1].tensor)
    assert (int(width), int(height)) == (4 * 32 + 3 * 6, 32 + 28)
    assert tf.io.decode_png(encoded[0]).shape == (32 + 28, 4 * 32 + 3 * 6, 3)


def test_a_panel_shows_image_label_weight_and_prediction_in_the_window_of_a_valid_net() -> None:
    """A bright spot at the centre of the input is at the centre of the first picture."""
    image, label, prediction = np.zeros((20, 20, 1), np.float32), np.zeros((8, 8), np.int32), np.ones((8, 8), np.int32)
    image[8:12, 8:12] = 9
    label[1, 2] = 1
    weight = np.where(label == 1, 2.5, 1.0).astype(np.float32)
    picture = monitoring.panel(image, label, weight, prediction)[-8:]
    first, second, third, fourth = (picture[:, start : start + 8] for start in range(0, 4 * 14, 14))
    assert np.argwhere(first[..., 0] > 0).tolist() == [[row, column] for row in range(2, 6) for column in range(2, 6)]
    assert np.argwhere(second.any(axis=-1)).tolist() == [[1, 2]]
    np.testing.assert_array_equal(third, overlays.heat(weight, 0.0, 2.5))
    assert (fourth == second[1, 2]).all()


def test_each_weight_has_a_histogram_at_each_validation_where_that_is_asked_for(board: Values) -> None:
    tags = [tag for tag in board if tag.startswith("weights/")]
    assert "weights/logits/kernel" in tags
    for tag in tags:
        assert [step for step, _ in board[tag]] == [3, 6]
        assert plugin(board, tag) == ("histograms", 2)
    left, right, count = tf.make_ndarray(board["weights/logits/kernel"][0][1].tensor).T
    assert count.sum() == 4 * 2
    assert (left[1:] == right[:-1]).all()


def test_no_histogram_is_written_unasked(stub_training: None, tmp_path: Path) -> None:
    training.run(tiny(training_steps=3), tmp_path / "run", data=cells(), say=quiet)
    assert not [tag for tag in written(tmp_path / "run" / "tensorboard") if tag.startswith("weights/")]


def test_a_histogram_counts_values_between_its_ends() -> None:
    """Buckets of width 1 from 0 to 30; the last holds its right end."""
    buckets = monitoring.histogram(np.array([[0.0, 0.5, 1.0], [29.0, 29.5, 30.0]], np.float32))
    assert buckets.shape == (30, 3)
    np.testing.assert_allclose(buckets[:, :2], np.stack([np.arange(30), np.arange(1, 31)], axis=1))
    assert buckets[:, 2].tolist() == [2, 1, *[0] * 27, 3]


def test_values_that_are_all_the_same_are_in_the_last_bucket_without_width() -> None:
    buckets = monitoring.histogram(np.full((2, 3), 1.5))
    assert (buckets[:, :2] == 1.5).all()
    assert buckets[:, 2].tolist() == [*[0] * 29, 6]


def plugin_data() -> Any:
    """The message class `tensorboard.hparams.HParamsPluginData`."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="plugin_data.proto", package="hparams", syntax="proto3", dependency=["google/protobuf/struct.proto"]
    )
    end = file.message_type.add(name="SessionEndInfo")
    end.field.add(name="status", number=1, type=kinds.TYPE_INT32, label=1)
    end.field.add(name="end_time_secs", number=2, type=kinds.TYPE_DOUBLE, label=1)
    start = file.message_type.add(name="SessionStartInfo")
    entry = start.nested_type.add(name="HparamsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=1)
    entry.field.add(name="value", number=2, type=kinds.TYPE_MESSAGE, type_name=".google.protobuf.Value", label=1)
    entries = ".hparams.SessionStartInfo.HparamsEntry"
    start.field.add(name="hparams", number=1, type=kinds.TYPE_MESSAGE, type_name=entries, label=3)
    start.field.add(name="start_time_secs", number=5, type=kinds.TYPE_DOUBLE, label=1)
    data = file.message_type.add(name="HParamsPluginData")
    for number, kind in ((3, "SessionStartInfo"), (4, "SessionEndInfo")):
        data.field.add(name=kind, number=number, type=kinds.TYPE_MESSAGE, type_name=f".hparams.{kind}", label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("hparams.HParamsPluginData"))


def test_the_configuration_is_in_the_plugin_of_hyperparameters(board: Values) -> None:
    ((step, value),) = board["_hparams_/session_start_info"]
    assert (step, value.metadata.plugin_data.plugin_name) == (0, "hparams")
    info = plugin_data().FromString(value.metadata.plugin_data.content).SessionStartInfo
    told = {key: getattr(entry, entry.WhichOneof("kind")) for key, entry in info.hparams.items()}
    assert told == hyperparameters.flattened(tiny(training_histograms=True).to_dict())
    assert told["training.steps"] == 6
    assert told["model.residual"] is False
    assert told["optimizer.name"] == "adam"
    assert told["augmentation.scale"] == "[1.0, 1.0]"


def test_a_run_that_ended_says_so_after_it_began(board: Values) -> None:
    ((_, value),) = board["_hparams_/session_end_info"]
    info = plugin_data().FromString(value.metadata.plugin_data.content).SessionEndInfo
    begun = plugin_data().FromString(board["_hparams_/session_start_info"][0][1].metadata.plugin_data.content)
    assert info.status == 1
    assert info.end_time_secs >= begun.SessionStartInfo.start_time_secs > 1.7e9


@pytest.mark.parametrize("length", [0, 1, 100, 127, 128, 20000])
def test_messages_of_any_length_are_whole(length: int, tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.began({"key": "x" * length})
    board.close()
    ((_, value),) = written(tmp_path)["_hparams_/session_start_info"]
    info = plugin_data().FromString(value.metadata.plugin_data.content).SessionStartInfo
    assert info.hparams["key"].string_value == "x" * length
