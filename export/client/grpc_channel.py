"""TensorFlow Serving's gRPC interface, by grpcio and without TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from .errors import ServerError, name_of, other_protocol, server_error

_OF_HTTP_1 = ("Expected SETTINGS frame", "http1.x")  # in what grpcio says of a server that answers in plain HTTP
_OWN_LIMIT = 4 * 1024**2  # bytes that grpcio takes in a message unless told otherwise


class GrpcChannel:
    """A model on a server, by gRPC.

    Args:
        address: `host:port`.
        model: Name of the model.
        version: A version number, a label, or None for the newest version.
        timeout: Seconds to wait for an answer.
        headers: Sent with every request, such as authorization.
        encrypted: Whether to speak TLS.
        max_message_bytes: The longest answer to accept; None for what grpcio accepts.

    Raises:
        ValueError: If grpcio is not installed, or a header is one that gRPC keeps for itself.
    """

    json = False
    raw_dtypes = ("uint8", "uint16", "int16", "float32")

    def __init__(
        self,
        address: str,
        model: str,
        version: int | str | None,
        timeout: float,
        headers: Mapping[str, str],
        encrypted: bool,
        max_message_bytes: int | None,
    ) -> None:
        try:
            import grpc

            from .. import serving_protos
        except ImportError as error:
            raise ValueError(
                f"Expected the packages grpcio and protobuf for gRPC. Received none ({error}): "
                "pip install 'keras-unet[client]', or use the http:// address."
            ) from None
        self._grpc, self._protos = grpc, serving_protos
        self._address, self._model, self._timeout = f"{'grpcs' if encrypted else 'grpc'}://{address}", model, timeout
        self._version, self._asked = version, name_of(model, version)
        self._metadata = _metadata(headers)
        self._longest = max(max_message_bytes or 0, _OWN_LIMIT)
        options = [("grpc.max_receive_message_length", self._longest)]
        self._channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
            if encrypted
            else grpc.insecure_channel(address, options)
        )
        self._predict = self._method("PredictionService/Predict", serving_protos.PredictResponse)
        self._status = self._method("ModelService/GetModelStatus", serving_protos.GetModelStatusResponse)

    def predict(
        self, signature: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """The named outputs of a signature; byte strings travel in arrays of objects.

        Raises:
            ServerError: If there is no answer, or not the expected one.
        """
        request = self._protos.PredictRequest(model_spec=self._spec(signature_name=signature), output_filter=outputs)
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(self._protos.to_proto(array))
        answer = self._called(self._predict, request).outputs
        missing = [name for name in outputs if name not in answer]
        if missing:
            raise ServerError(
                f"Expected {', '.join(missing)} in the answer. Received {', '.join(answer) or 'nothing':.200}."
            )
        return {name: self._protos.to_array(answer[name], self._longest) for name in outputs}

    def versions(self) -> dict[int, str]:
        """Version numbers and their states, such as `"AVAILABLE"`."""
        answer = self._called(self._status, self._protos.GetModelStatusRequest(model_spec=self._spec()))
        states = self._protos.VERSION_STATES
        return {status.version: states.get(status.state, "UNKNOWN") for status in answer.model_version_status}

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _spec(self, **fields: str) -> Any:
        spec = self._protos.ModelSpec(name=self._model, **fields)
        if isinstance(self._version, str):
            spec.version_label = self._version
        elif self._version is not None:
            spec.version.value = self._version
        return spec

    def _method(self, name: str, response: Any) -> Any:
        return self._channel.unary_unary(
            f"/tensorflow.serving.{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def _called(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except self._grpc.RpcError as error:
            status, text = error.code().name, error.details() or ""
            if any(part in text for part in _OF_HTTP_1):
                raise other_protocol("gRPC", self._address) from None
            raise server_error(status, text, self._address, self._asked, self._timeout) from None


def _metadata(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    metadata = [(name.lower(), value) for name, value in headers.items()]
    for name, _ in metadata:
        if name.startswith("grpc-") or name.endswith("-bin"):
            raise ValueError(
                "Expected headers whose names neither begin with grpc- nor end in -bin, which gRPC keeps for itself. "
                f"Received {name!r}."
            )
    return metadata
