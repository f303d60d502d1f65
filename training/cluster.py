"""Who takes part in a run on several machines: the environment variable TF_CONFIG, read and checked."""

import json
import os
from dataclasses import dataclass
from typing import Any

from .config import ConfigError

_FORM = '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The worker processes of a run.

    Args:
        addresses: `host:port` of each worker; the first is the chief.
        index: Which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int


def read_cluster(text: str | None = None) -> Cluster | None:
    """The cluster of TF_CONFIG; None where the variable is unset or empty, or names no cluster.

    Args:
        text: The variable's value; taken from the environment if None.

    Raises:
        ConfigError: If it has another form.
    """
    text = os.environ.get("TF_CONFIG", "") if text is None else text
    if not text.strip():
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _malformed(f"no JSON ({error})") from None
    if not isinstance(value, dict):
        raise _malformed(repr(value))
    if not value.get("cluster"):
        return None
    groups = _groups(value["cluster"])
    return Cluster(tuple(groups["chief"] + groups["worker"]), _index(value.get("task"), groups))


def _groups(cluster: Any) -> dict[str, list[str]]:
    if not isinstance(cluster, dict):
        raise _malformed(f"cluster {cluster!r}")
    unknown = sorted(set(cluster) - {"chief", "worker"})
    if unknown:
        raise _malformed(f'cluster with "{unknown[0]}"; every process is a worker, one may be the chief')
    groups = {name: cluster.get(name, []) for name in ("chief", "worker")}
    for name, addresses in groups.items():
        if not isinstance(addresses, list) or not all(_is_address(address) for address in addresses):
            raise _malformed(f"{name} {addresses!r}")
    addresses = groups["chief"] + groups["worker"]
    if len(groups["chief"]) > 1 or len(set(addresses)) < len(addresses):
        raise _malformed(f"addresses {addresses!r}: one chief at most, and no address twice")
    return groups


def _is_address(text: Any) -> bool:
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def _index(task: Any, groups: dict[str, list[str]]) -> int:
    kind, index = (task.get("type"), task.get("index")) if isinstance(task, dict) else (None, None)
    if (
        not isinstance(kind, str)
        or kind not in groups
        or not isinstance(index, int)
        or not 0 <= index < len(groups[kind])
    ):
        raise _malformed(f"task {task!r} in a cluster of {len(groups['chief'])} chief, {len(groups['worker'])} workers")
    return index if kind == "chief" else len(groups["chief"]) + index


def _malformed(received: str) -> ConfigError:
    return ConfigError(f"TF_CONFIG: Expected {_FORM}. Received {received}.")
