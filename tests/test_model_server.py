"""The real TensorFlow Serving over REST: `tensorflow_model_server` on PATH, or where TENSORFLOW_MODEL_SERVER says."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from consumers import examples

from keras_unet import export

PROGRAM = os.environ.get("TENSORFLOW_MODEL_SERVER") or shutil.which("tensorflow_model_server")
OUTPUTS = {"serving_default": ("probabilities", np.float32), "classes": ("classes", np.uint8)}
PATIENCE = 60  # seconds
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would not know this loopback

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM, reason="no tensorflow_model_server on PATH and TENSORFLOW_MODEL_SERVER is not set"),
]


@dataclass(frozen=True)
class Server:
    """A running server of one model.

    Args:
        url: Of the model: `http://127.0.0.1:PORT/v1/models/NAME`.
    """

    url: str

    def state(self) -> str:
        """State of the one version: "LOADING", "AVAILABLE" …; empty while nothing answers."""
        try:
            with DIRECTLY.open(self.url, timeout=PATIENCE) as response:
                return json.load(response)["model_version_status"][0]["state"]
        except OSError:
            return ""

    def predict(self, signature: str, **inputs: Any) -> tuple[int, dict[str, Any]]:
        """HTTP status and JSON of the answer."""
        body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
        request = urllib.request.Request(f"{self.url}:predict", body, {"Content-Type": "application/json"})
        try:
            with DIRECTLY.open(request, timeout=PATIENCE) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture(scope="module", params=examples.NETS)
def example(request):
    return examples.example(request.param)


@pytest.fixture(scope="module")
def server(example, tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log"
    grpc, rest = free_ports(2)
    base = example.folder.parent
    command = [PROGRAM, f"--port={grpc}", f"--rest_api_port={rest}"]
    command += [f"--model_name={base.name}", f"--model_base_path={base}"]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            running = Server(f"http://127.0.0.1:{rest}/v1/models/{base.name}")
            wait_until_available(running, process, log)
            yield running
            assert process.poll() is None, f"The server died: {log.read_text()}"
        finally:
            process.kill()


@pytest.mark.parametrize("signature", OUTPUTS)
def test_the_server_gives_what_predict_gives(example, server, signature):
    output, dtype = OUTPUTS[signature]
    answers = []
    for image in example.images:
        status, answer = server.predict(signature, images=image.tolist())
        assert status == 200, answer
        answers.append(np.array(answer["outputs"], dtype))
    example.check(output, answers)


@pytest.mark.parametrize("signature", OUTPUTS)
def test_the_server_answers_wrong_images_with_a_sentence_and_lives_on(example, server, signature):
    wrong = examples.wrong_images(example.channels, example.dtype).values()
    for images in wrong:
        # JSON's [[], []] shows no axes past the empty one.
        shape = images.shape[: images.shape.index(0) + 1] if images.size == 0 else images.shape
        status, answer = server.predict(signature, images=images.tolist())
        assert status == 400
        assert export.sentence(answer["error"]) == (
            f"Expected images of shape (batch, height, width, {example.channels}) with at least one pixel. "
            f"Received shape ({', '.join(map(str, shape))})."
        )
    assert server.predict(signature, images=example.images[0].tolist())[0] == 200


def test_the_server_takes_files_of_several_sizes_and_gives_files(example, server):
    files = [{"b64": base64.b64encode(file).decode()} for file in example.files()]
    status, answer = server.predict("image_bytes", image_bytes=files)
    assert status == 200, answer
    outputs = answer["outputs"]
    example.check_label_files([base64.b64decode(file["b64"]) for file in outputs["label_png_bytes"]])
    sizes = list(zip(outputs["height"], outputs["width"], strict=True))
    assert sizes == [image.shape[1:3] for image in example.images]


def wait_until_available(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while server.state() != "AVAILABLE":
        assert process.poll() is None, f"The server stopped: {log.read_text()}"
        assert time.monotonic() < end, f"The server is not ready after {PATIENCE} s: {log.read_text()}"
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
