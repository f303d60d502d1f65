"""Builds `segment.c` against the TensorFlow installed here, and puts requests to it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import saved_model_pb2

SOURCE = Path(__file__).with_name("segment.c")
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
FAST_LINKERS = ("mold", "lld", "gold")  # the usual one takes ten seconds over TensorFlow's 500,000 symbols


@dataclass(frozen=True)
class Refusal:
    """What TensorFlow said to a request: a `TF_Code` and a message."""

    code: int
    message: str


@dataclass(frozen=True)
class Run:
    """What became of the requests to one process.

    Args:
        answers: An array or a refusal per request; for a string tensor its one string.
        exit_status: Of the process.
        loaded: Most memory it had held, in bytes, when the model was loaded.
        peak: The same at the end.
    """

    answers: list[NDArray[Any] | bytes | Refusal]
    exit_status: int
    loaded: int
    peak: int


def missing() -> str | None:
    """Why the program cannot be built here, or None if it can."""
    if shutil.which("cc") is None:
        return "no C compiler: cc is not on PATH"
    absent = [name for name in LIBRARIES if not Path(tf.sysconfig.get_lib(), name).exists()]
    return f"this TensorFlow comes without {' and '.join(absent)}" if absent else None


def build(folder: Path) -> Path:
    """Compile the program into `folder`.

    Raises:
        RuntimeError: If the compiler refuses; it ends in what the compiler said.
    """
    program, library = folder / "segment", tf.sysconfig.get_lib()
    linker = [f"-fuse-ld={name}" for name in FAST_LINKERS if shutil.which(f"ld.{name}")][:1]
    command = ["cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", *linker, f"-I{tf.sysconfig.get_include()}"]
    command += [str(SOURCE), "-o", str(program), f"-L{library}", f"-Wl,-rpath,{library}"]
    process = subprocess.run([*command, *(f"-l:{name}" for name in LIBRARIES)], capture_output=True, text=True)
    if process.returncode != 0:
        raise RuntimeError(f"Expected {SOURCE.name} to compile. Received: {process.stderr}")
    return program


def segment(program: Path, folder: Path, signature: str, requests: Sequence[NDArray[Any] | bytes], output: str) -> Run:
    """Put requests, one after the other, to one process.

    Args:
        program: What `build` returned.
        folder: The version folder.
        signature: Name of a signature of one input.
        requests: Arrays in the dtype of the input; for a string tensor the string that is its one element.
        output: Name of the output to fetch.

    Raises:
        RuntimeError: If the model does not load or the process dies; it ends in what the program wrote.
    """
    (fed,), fetched = _tensors(folder, signature)
    with tempfile.TemporaryDirectory() as scratch:
        lines = [_request(Path(scratch, str(index)), request) for index, request in enumerate(requests)]
        process = subprocess.run(
            [program, folder, fed.name, fetched[output].name],
            input="".join(lines),
            capture_output=True,
            text=True,
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
        )
        said = process.stdout.splitlines()
        if len(said) != len(requests) + 2:
            raise RuntimeError(
                f"Expected {len(requests)} answers. Received exit status {process.returncode} and: "
                f"{process.stdout}{process.stderr}"
            )
        dtype = tf.dtypes.as_dtype(fetched[output].dtype)
        answers = [_answer(Path(scratch, f"{index}.answer"), line, dtype) for index, line in enumerate(said[1:-1])]
    loaded, peak = (int(line.split()[1]) for line in (said[0], said[-1]))
    return Run(answers, process.returncode, loaded, peak)


def _tensors(folder: Path, signature: str) -> tuple[list[Any], dict[str, Any]]:
    """Inputs and, by name, outputs of a signature."""
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    definition = message.meta_graphs[0].signature_def[signature]
    return list(definition.inputs.values()), dict(definition.outputs)


def _request(file: Path, request: NDArray[Any] | bytes) -> str:
    file.write_bytes(request if isinstance(request, bytes) else request.tobytes())
    shape = (1,) if isinstance(request, bytes) else request.shape
    return " ".join(map(str, [file, f"{file}.answer", *shape])) + "\n"


def _answer(file: Path, line: str, dtype: tf.DType) -> NDArray[Any] | bytes | Refusal:
    code, _, rest = line.partition(" ")
    if code != "0":
        return Refusal(int(code), rest)
    if dtype == tf.string:
        return file.read_bytes()
    return np.fromfile(file, dtype.as_numpy_dtype).reshape([int(size) for size in rest.split()])
