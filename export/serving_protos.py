"""The few messages of TensorFlow Serving's gRPC interface that a client needs, declared by their public field numbers.

They live in a descriptor pool of their own: TensorFlow, if it is loaded too, registers the full ones under these names.

Reference:
    tensorflow_serving/apis: model.proto, predict.proto, prediction_log.proto, get_model_status.proto
    tensorflow/core/framework: tensor.proto, tensor_shape.proto
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from numpy.typing import NDArray

from .client.errors import ServerError

_Field = descriptor_pb2.FieldDescriptorProto
_TENSOR, _MODEL = ".tensorflow.TensorProto", ".tensorflow.serving.ModelSpec"

# (name, number, type); "*" marks a repeated field, "->" a map from strings. Enumerations travel as int32 does.
_MESSAGES: dict[str, dict[str, list[tuple[str, int, str]]]] = {
    "tensorflow": {
        "TensorShapeProto": [("dim", 2, "*.tensorflow.Dim"), ("unknown_rank", 3, "bool")],
        "Dim": [("size", 1, "int64"), ("name", 2, "string")],
        "TensorProto": [
            ("dtype", 1, "int32"),
            ("tensor_shape", 2, ".tensorflow.TensorShapeProto"),
            ("tensor_content", 4, "bytes"),
            ("float_val", 5, "*float"),
            ("double_val", 6, "*double"),
            ("int_val", 7, "*int32"),
            ("string_val", 8, "*bytes"),
            ("int64_val", 10, "*int64"),
        ],
    },
    "tensorflow.serving": {
        "ModelSpec": [
            ("name", 1, "string"),
            ("version", 2, ".google.protobuf.Int64Value"),
            ("signature_name", 3, "string"),
            ("version_label", 4, "string"),
        ],
        "PredictRequest": [("model_spec", 1, _MODEL), ("inputs", 2, f"->{_TENSOR}"), ("output_filter", 3, "*string")],
        "PredictResponse": [("outputs", 1, f"->{_TENSOR}"), ("model_spec", 2, _MODEL)],
        "PredictLog": [("request", 1, ".tensorflow.serving.PredictRequest")],
        "PredictionLog": [("predict_log", 6, ".tensorflow.serving.PredictLog")],
        "GetModelStatusRequest": [("model_spec", 1, _MODEL)],
        "ModelVersionStatus": [("version", 1, "int64"), ("state", 2, "int32")],
        "GetModelStatusResponse": [("model_version_status", 1, "*.tensorflow.serving.ModelVersionStatus")],
    },
}

VERSION_STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}

_MOST_AXES = 32  # as NumPy has always taken
_LONGEST = 4 * 1024**2  # bytes, as of a message unless told otherwise
_STRING = 7
# Number of each dtype, and the field that holds its values where they are not in tensor_content.
_DTYPES: dict[int, tuple[Any, str]] = {
    1: (np.float32, "float_val"),
    2: (np.float64, "double_val"),
    3: (np.int32, "int_val"),
    4: (np.uint8, "int_val"),
    5: (np.int16, "int_val"),
    6: (np.int8, "int_val"),
    _STRING: (object, "string_val"),
    9: (np.int64, "int64_val"),
    17: (np.uint16, "int_val"),
}
_NUMBERS = {np.dtype(dtype): number for number, (dtype, _) in _DTYPES.items()}


def _declare() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    files = [wrappers_pb2.DESCRIPTOR.name]
    classes: dict[str, Any] = {}
    for package, messages in _MESSAGES.items():
        file = descriptor_pb2.FileDescriptorProto(name=package, package=package, syntax="proto3", dependency=files)
        for name, fields in messages.items():
            _add_message(file.message_type.add(name=name), package, fields)
        pool.Add(file)
        files.append(package)
        found = {name: pool.FindMessageTypeByName(f"{package}.{name}") for name in messages}
        classes |= {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}
    return classes


def _add_message(message: Any, package: str, fields: list[tuple[str, int, str]]) -> None:
    for name, number, kind in fields:
        if kind.startswith("->"):
            entry = message.nested_type.add(name=f"{name.title()}Entry")
            entry.options.map_entry = True
            _add_message(entry, package, [("key", 1, "string"), ("value", 2, kind[2:])])
            kind = f"*.{package}.{message.name}.{entry.name}"
        field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
        if kind.startswith("*"):
            field.label, kind = _Field.LABEL_REPEATED, kind[1:]
        if kind.startswith("."):
            field.type, field.type_name = _Field.TYPE_MESSAGE, kind
        else:
            field.type = getattr(_Field, f"TYPE_{kind.upper()}")


_CLASSES = _declare()
TensorProto = _CLASSES["TensorProto"]
ModelSpec = _CLASSES["ModelSpec"]
PredictRequest = _CLASSES["PredictRequest"]
PredictResponse = _CLASSES["PredictResponse"]
PredictionLog = _CLASSES["PredictionLog"]
GetModelStatusRequest = _CLASSES["GetModelStatusRequest"]
GetModelStatusResponse = _CLASSES["GetModelStatusResponse"]


def to_proto(array: NDArray[Any]) -> Any:
    """A `TensorProto` of an array; byte strings come as an array of objects."""
    proto = TensorProto(dtype=_NUMBERS[array.dtype])
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        proto.string_val.extend(array.ravel())
    else:
        proto.tensor_content = array.tobytes()
    return proto


def to_array(proto: Any, longest: int = _LONGEST) -> NDArray[Any]:
    """The array in a `TensorProto`.

    Args:
        proto: From a server that may be anybody's.
        longest: The most bytes of an array of which only the first values were sent. A tensor may declare any shape
            and leave out equal values at its end: a few bytes must not fill the memory.

    Raises:
        ServerError: If its dtype is not one that an exported model answers in, or it is not what it declares.
    """
    if proto.dtype not in _DTYPES:
        raise ServerError(f"Expected numbers or strings. Received a tensor of TensorFlow's dtype {proto.dtype}.")
    dtype, field = _DTYPES[proto.dtype]
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or len(shape) > _MOST_AXES or min(shape, default=0) < 0:
        raise ServerError(
            f"Expected a tensor of known shape with up to {_MOST_AXES} axes. Received shape {str(shape):.100}."
        )
    if proto.tensor_content:
        values = _from_content(proto.tensor_content, np.dtype(dtype), shape)
    else:
        values = _from_values(getattr(proto, field), np.dtype(dtype), math.prod(shape), longest)
    try:
        return values.reshape(shape)
    except ValueError:  # no values, along axes longer than NumPy's may be
        raise ServerError(f"Expected a tensor of possible shape. Received shape {shape}.") from None


def _from_content(content: bytes, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any]:
    if dtype.kind == "O" or len(content) != math.prod(shape) * dtype.itemsize:
        raise ServerError(f"Expected the bytes of {dtype} values of shape {shape}. Received {len(content)} bytes.")
    return np.frombuffer(content, dtype)


def _from_values(sent: Sequence[Any], dtype: np.dtype[Any], size: int, longest: int) -> NDArray[Any]:
    if len(sent) > size or (len(sent) < size and size * dtype.itemsize > longest):
        raise ServerError(f"Expected {size} {dtype} values, as the shape says. Received {len(sent)}.")
    try:
        values = np.array(list(sent), dtype)  # of the container itself NumPy would wrap what dtype does not hold
    except OverflowError:
        raise ServerError(f"Expected {dtype} values. Received others.") from None
    if values.size < size:  # equal values at the end may be given once
        last = values[-1:] if values.size else np.zeros(1, dtype)
        values = np.concatenate([values, np.repeat(last, size - values.size)])
    return values
