"""Launch files: whole, and the TF_CONFIG that they make names the workers. Schedulers are stood in for by scripts."""

import os
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from keras_unet.training.cluster import Cluster, read_cluster

LAUNCH = Path(str(files("keras_unet.training"))) / "launch"


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """A folder of programs that say what they were started with."""
    programs = {
        "keras-unet": 'printf "%s\\n" "$*" "$TF_CONFIG"',
        "scontrol": "printf 'node1\\nnode2\\nnode3\\n'",
        "srun": 'shift; SLURM_PROCID=2 exec "$@"',
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(command: list[str], stand_ins: Path, **environment: str) -> tuple[str, Cluster | None]:
    """The command line of keras-unet, and the cluster it is told of."""
    path = f"{stand_ins}:{os.environ['PATH']}"
    done = subprocess.run(
        command, env={"PATH": path, **environment}, capture_output=True, text=True, timeout=60, check=True
    )
    arguments, _, tf_config = done.stdout.partition("\n")
    return arguments, read_cluster(tf_config)


def test_kubernetes_workers_know_each_other(stand_ins: Path) -> None:
    service, job = yaml.safe_load_all((LAUNCH / "kubernetes.yml").read_text())
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    workers = next(entry["value"] for entry in container["env"] if entry["name"] == "WORKERS")
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == int(workers)
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    port = service["spec"]["ports"][0]["port"]
    command = [*container["command"], *container["args"]]
    arguments, cluster = run(command, stand_ins, WORKERS="3", JOB_COMPLETION_INDEX="1")
    assert arguments == "train /mnt/train/run.toml --out /mnt/train/run"
    assert cluster == Cluster(tuple(f"train-{index}.train:{port}" for index in range(3)), 1)


def test_slurm_workers_know_each_other(stand_ins: Path) -> None:
    command = ["bash", str(LAUNCH / "slurm.sh"), "my run.toml", "--out", "run"]
    arguments, cluster = run(command, stand_ins, SLURM_JOB_NODELIST="node[1-3]", PORT="4000")
    assert arguments == "train my run.toml --out run"
    assert cluster == Cluster(("node1:4000", "node2:4000", "node3:4000"), 2)
