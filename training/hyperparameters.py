"""A run's configuration as TensorBoard's page HPARAMS reads it, written without the package `tensorboard`.

The messages are those of its `plugins/hparams/plugin_data.proto`: `HParamsPluginData` holds a `SessionStartInfo` in
field 3 and a `SessionEndInfo` in field 4.
"""

import json
import struct
import time
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct

Value = bool | int | float | str

STARTED = "_hparams_/session_start_info"
ENDED = "_hparams_/session_end_info"

_SUCCESS = 1


def flattened(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
    """Keys of all sections as `section.key`; lists and tables, which the page does not know, as JSON."""
    return {
        f"{section}.{key}": value if isinstance(value, Value) else json.dumps(value, ensure_ascii=False)
        for section, keys in sections.items()
        for key, value in keys.items()
    }


def started(values: Mapping[str, Value]) -> bytes:
    """The message of a run that begins now with these values."""
    # SessionStartInfo has its values where google.protobuf.Struct has its fields, a map in field 1.
    hparams = Struct()
    hparams.update(values)
    return _message(3, hparams.SerializeToString(deterministic=True) + _seconds(5))


def ended() -> bytes:
    """The message of a run that has ended well now."""
    return _message(4, bytes([1 << 3, _SUCCESS]) + _seconds(2))


def _message(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _length(len(data)) + data


def _length(count: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    high = count >> 7
    return bytes([count & 127 | 128]) + _length(high) if high else bytes([count])


def _seconds(field: int) -> bytes:
    """The time as a double."""
    return bytes([field << 3 | 1]) + struct.pack("<d", time.time())
