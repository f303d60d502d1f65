"""A stand-in for TensorFlow Serving on loopback: runs SavedModels with TensorFlow and answers as it documents.

REST follows "RESTful API" of TensorFlow Serving (columnar `inputs`, `b64`, `{"error": …}`, the status codes of its HTTP
server), gRPC speaks the messages of the package tensorflow-serving-api, with values in typed fields as the server's
default is. Faults are injected by request.
"""

import base64
import json
import re
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import tensorflow as tf

from helpers.nets import loaded

HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
FAULTS = {"unavailable": "UNAVAILABLE", "busy": "RESOURCE_EXHAUSTED"}
HANG = 2.0  # seconds
PATH = re.compile(
    r"/v1/models/(?P<model>[^/:]+)(/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?(?P<verb>:predict)?"
)


class Refusal(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text


class StandIn:
    """Serves the versions in a model folder.

    Args:
        base: The folder of all versions.
        labels: Version numbers by label.
        max_message_bytes: The longest gRPC request that is taken.

    Attributes:
        faults: What to do with the next predict requests instead: "unavailable", "busy", "hang" or "drop".
        requests: Signature and version of every predict request that came.
    """

    def __init__(self, base, labels=None, max_message_bytes=None):
        self.base, self.name = base, base.name
        self.versions = {int(path.name): loaded(path) for path in base.iterdir()}
        self.labels = labels or {}
        self.faults = deque()
        self.requests = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.rest = f"http://127.0.0.1:{self._http.server_port}"
        self._grpc = None
        self._max_message_bytes = max_message_bytes

    @property
    def grpc(self):
        """Address for gRPC, which starts on first use."""
        if self._grpc is None:
            self._grpc, port = _grpc_server(self, self._max_message_bytes)
            self._grpc_address = f"grpc://127.0.0.1:{port}"
        return self._grpc_address

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        if self._grpc is not None:
            self._grpc.stop(None)

    def signature(self, model, signature, version=None, label=None):
        """A signature of the version asked for, and that version."""
        number = self.labels.get(label) if label else version or max(self.versions)
        if model != self.name or number not in self.versions:
            asked = f"Latest({model})" if not (version or label) else f"Specific({model}, {label or version})"
            raise Refusal("NOT_FOUND", f"Servable not found for request: {asked}")
        self.requests.append((signature, number))
        self._fault()
        signatures = self.versions[number].signatures
        if signature not in signatures:
            text = f'Serving signature name: "{signature}" not found in signature def'
            raise Refusal("INVALID_ARGUMENT", text)
        return signatures[signature], number

    def _fault(self):
        fault = self.faults.popleft() if self.faults else None
        if fault == "hang":
            time.sleep(HANG)
        elif fault == "drop":
            raise ConnectionAbortedError
        elif fault is not None:
            raise Refusal(FAULTS[fault], "injected")


def run(function, inputs):
    """Outputs of a signature as arrays."""
    try:
        return {name: value.numpy() for name, value in function(**inputs).items()}
    except tf.errors.InvalidArgumentError as error:
        raise Refusal("INVALID_ARGUMENT", error.message) from None


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            self._answered(lambda path: _status(server, path["model"]))

        def do_POST(self):  # noqa: N802
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answered(lambda path: _predict_json(server, path, body))

        def _answered(self, answer):
            try:
                status, content = 200, answer(PATH.fullmatch(self.path).groupdict())
            except Refusal as refusal:
                status, content = HTTP_STATUS[refusal.status], {"error": refusal.text}
            except ConnectionAbortedError:
                self.close_connection = True
                return
            data = json.dumps(content).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                pass  # the client has given up

        def log_message(self, *arguments):
            pass

    return Handler


def _status(server, model):
    if model != server.name:
        raise Refusal("NOT_FOUND", f"Could not find any versions of model {model}")
    ok = {"error_code": "OK", "error_message": ""}
    versions = sorted(server.versions, reverse=True)
    return {"model_version_status": [{"version": str(v), "state": "AVAILABLE", "status": ok} for v in versions]}


def _predict_json(server, path, body):
    number = int(path["version"]) if path["version"] else None
    function, _ = server.signature(path["model"], body.get("signature_name", "serving_default"), number, path["label"])
    specs = function.structured_input_signature[1]
    inputs = {name: _from_json(body["inputs"][name], spec.dtype) for name, spec in specs.items()}
    outputs = {name: _to_json(name, value) for name, value in run(function, inputs).items()}
    return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}


def _from_json(value, dtype):
    if dtype == tf.string:
        return tf.constant([base64.b64decode(v["b64"]) if isinstance(v, dict) else v for v in value], tf.string)
    if dtype == tf.uint16:
        raise Refusal("UNIMPLEMENTED", "Conversion of JSON Value: 1 to type: uint16")
    return tf.constant(value, dtype)


def _to_json(name, array):
    if array.dtype != object:
        return array.tolist()
    encode = (lambda v: {"b64": base64.b64encode(v).decode()}) if name.endswith("_bytes") else bytes.decode
    return [encode(value) for value in array]


def _grpc_server(server, max_message_bytes):
    import grpc
    from tensorflow_serving.apis import (
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            try:
                function, number = server.signature(
                    spec.name, spec.signature_name or "serving_default", version, spec.version_label
                )
                specs = function.structured_input_signature[1]
                arrays = {name: tf.make_ndarray(request.inputs[name]) for name in specs}
                outputs = run(function, {name: tf.constant(arrays[name], specs[name].dtype) for name in specs})
            except Refusal as refusal:
                context.abort(grpc.StatusCode[refusal.status], refusal.text)
            except ConnectionAbortedError:
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            answer = predict_pb2.PredictResponse()
            answer.model_spec.name, answer.model_spec.version.value = spec.name, number
            for name in request.output_filter or outputs:
                answer.outputs[name].CopyFrom(_typed_fields(outputs[name]))
            return answer

    class Models(model_service_pb2_grpc.ModelServiceServicer):
        def GetModelStatus(self, request, context):  # noqa: N802
            if request.model_spec.name != server.name:
                context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model")
            answer = get_model_status_pb2.GetModelStatusResponse()
            for version in server.versions:
                answer.model_version_status.add(version=version, state="AVAILABLE")
            return answer

    options = [("grpc.max_receive_message_length", max_message_bytes or -1), ("grpc.so_reuseport", 0)]
    service = grpc.server(ThreadPoolExecutor(8), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(), service)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), service)
    port = service.add_insecure_port("127.0.0.1:0")
    service.start()
    return service, port


def _typed_fields(array):
    """The array in the field of its type, as TensorFlow Serving answers unless built otherwise."""
    dtype = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
    proto = tf.make_tensor_proto(np.zeros(0, np.uint8))
    proto.dtype = dtype.as_datatype_enum
    proto.tensor_content = b""
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    field = {tf.string: "string_val", tf.float32: "float_val"}.get(dtype, "int_val")
    getattr(proto, field).extend(array.ravel().tolist())
    return proto
