"""Messages of TensorFlow Serving as the client declares them, against the real ones."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers.clients import DESCRIPTION, noise

from keras_unet.export.client import Client, ServerError


class TestMessages:
    """Our declaration of TensorFlow Serving's messages against the real ones."""

    @pytest.fixture(autouse=True)
    def real(self):
        pytest.importorskip("tensorflow_serving.apis")

    def test_every_field_is_that_of_the_real_message(self):
        from google.protobuf.descriptor import FieldDescriptor
        from tensorflow.core.framework import tensor_pb2
        from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

        from keras_unet.export import serving_protos

        def compare(own, real):
            for field in own.fields:
                other = real.fields_by_name[field.name]
                is_enum = other.type == FieldDescriptor.TYPE_ENUM
                assert field.number == other.number, field.full_name
                assert field.type == (FieldDescriptor.TYPE_INT32 if is_enum else other.type), field.full_name
                assert field.is_repeated == other.is_repeated, field.full_name
                if field.message_type:
                    compare(field.message_type, other.message_type)

        compare(serving_protos.TensorProto.DESCRIPTOR, tensor_pb2.TensorProto.DESCRIPTOR)
        compare(serving_protos.PredictRequest.DESCRIPTOR, predict_pb2.PredictRequest.DESCRIPTOR)
        compare(serving_protos.PredictResponse.DESCRIPTOR, predict_pb2.PredictResponse.DESCRIPTOR)
        for name in ("GetModelStatusRequest", "GetModelStatusResponse"):
            compare(getattr(serving_protos, name).DESCRIPTOR, getattr(get_model_status_pb2, name).DESCRIPTOR)
        states = get_model_status_pb2.ModelVersionStatus.State.items()
        assert dict(states) == {
            "UNKNOWN": 0,
            **{name: number for number, name in serving_protos.VERSION_STATES.items()},
        }

    def test_a_request_has_the_bytes_of_the_real_one(self):
        from tensorflow_serving.apis import predict_pb2

        from keras_unet.export import serving_protos

        array = noise(3, 4, 2, np.uint16)
        own = serving_protos.PredictRequest(output_filter=["probabilities"])
        own.model_spec.name, own.model_spec.signature_name = "cells", "serving_default"
        own.model_spec.version.value = 3
        own.inputs["images"].CopyFrom(serving_protos.to_proto(array))
        real = predict_pb2.PredictRequest(output_filter=["probabilities"])
        real.model_spec.name, real.model_spec.signature_name = "cells", "serving_default"
        real.model_spec.version.value = 3
        tensor = real.inputs["images"]
        tensor.dtype, tensor.tensor_content = tf.uint16.as_datatype_enum, array.tobytes()
        tensor.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
        assert own.SerializeToString(deterministic=True) == real.SerializeToString(deterministic=True)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "int64", "float32", "float64", "object"])
    @pytest.mark.parametrize("shape", [(2, 3), (0, 3), ()])
    def test_tensors_survive_the_way_through_tensorflows_own(self, dtype, shape):
        from tensorflow.core.framework import tensor_pb2

        from keras_unet.export import serving_protos

        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        if dtype == "object":
            array = np.array([f"é{i}".encode() for i in range(array.size)], object).reshape(shape)
        read = tf.make_ndarray(tensor_pb2.TensorProto.FromString(serving_protos.to_proto(array).SerializeToString()))
        np.testing.assert_array_equal(read, array)
        real = tf.make_tensor_proto(array.tolist(), dtype=tf.string if dtype == "object" else dtype, shape=shape)
        own = serving_protos.TensorProto.FromString(real.SerializeToString())
        np.testing.assert_array_equal(serving_protos.to_array(own), array)

    def test_equal_values_given_once_are_repeated(self):
        from keras_unet.export import serving_protos

        real = tf.make_tensor_proto(0.25, shape=(2, 3), dtype=tf.float32)
        own = serving_protos.TensorProto.FromString(real.SerializeToString())
        np.testing.assert_array_equal(serving_protos.to_array(own), np.full((2, 3), 0.25, np.float32))


FLOAT32, UINT8, STRING = 1, 4, 7  # TensorFlow's numbers


@pytest.mark.parametrize(
    ("dtype", "shape", "fields", "received"),
    [
        (FLOAT32, (1, 20_000, 30_000, 2), {}, "Received 0"),
        (FLOAT32, (1, 10**6, 10**6, 1), {"float_val": [0.5]}, "Received 1"),
        (FLOAT32, (2**32, 2**32), {}, "Received 0"),
        (FLOAT32, (2**62, 4), {}, "Received 0"),
        (FLOAT32, (0, 2**62, 2**62), {}, "possible shape"),
        (STRING, (10**9,), {"string_val": [b"x"]}, "Received 1"),
        (FLOAT32, (1, 2, 3), {"float_val": [0.5] * 7}, "Expected 6 float32 values, as the shape says. Received 7"),
        (FLOAT32, (1, -1, 3), {"float_val": [0.5] * 3}, r"known shape .* Received shape \[1, -1, 3\]"),
        (FLOAT32, (-1, -1), {"float_val": [0.5]}, "known shape"),
        (FLOAT32, (1,) * 200, {"float_val": [0.5]}, "up to 32 axes"),
        (FLOAT32, (1, 2), {"tensor_content": b"abc"}, r"bytes of float32 values of shape \[1, 2\]. Received 3 bytes"),
        (FLOAT32, (1, 2), {"tensor_content": b"abcd"}, "Received 4 bytes"),
        (FLOAT32, (1, 2), {"tensor_content": bytes(12)}, "Received 12 bytes"),
        (STRING, (1,), {"tensor_content": b"12345678"}, "Received 8 bytes"),
        (UINT8, (1,), {"int_val": [300]}, "Expected uint8 values. Received others"),
        (UINT8, (1,), {"int_val": [-1]}, "Expected uint8 values. Received others"),
        (0, (1,), {}, "dtype 0"),
        (99, (1,), {}, "dtype 99"),
        (-1, (1,), {}, "dtype -1"),
    ],
)
def test_a_tensor_that_is_not_what_it_declares_is_the_servers_fault(dtype, shape, fields, received, monkeypatch):
    pytest.importorskip("grpc")
    from keras_unet.export import serving_protos

    def answer(request, **_):
        if request.model_spec.signature_name == "description":
            response, text = serving_protos.PredictResponse(), json.dumps(DESCRIPTION).encode()
            response.outputs["description"].CopyFrom(serving_protos.to_proto(np.array([text], object)))
            return response
        response = serving_protos.PredictResponse()
        tensor = response.outputs["probabilities"]
        tensor.dtype = dtype
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
        for name, value in fields.items():
            tensor.MergeFrom(serving_protos.TensorProto(**{name: value}))
        return response

    client = Client("grpc://localhost", "cells")
    monkeypatch.setattr(client._channel, "_predict", answer)
    with pytest.raises(ServerError, match=received) as error:
        client.segment(np.zeros((1, 1), np.float32))
    assert not isinstance(error.value, ValueError)
