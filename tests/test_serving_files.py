"""The deployment files against what TensorFlow Serving, Prometheus and Kubernetes take, and the load test."""

import json
import re
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from helpers.nets import exported, net
from helpers.stand_in_server import StandIn

from keras_unet.export.serving import load_generator

FOLDER = files("keras_unet.export.serving")

# Flags of tensorflow_model_server, from main.cc of TensorFlow Serving.
FLAGS = {
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_batching",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "monitoring_config_file",
    "rest_api_timeout_in_ms",
}

# Names, labels and kinds of metrics, from util.cc and batching_session.cc of TensorFlow Serving and loader.cc of
# TensorFlow; the exporter turns slashes into colons, and histograms get _bucket, _sum and _count.
METRICS = {
    ":tensorflow:serving:request_count": {"model_name", "status"},
    ":tensorflow:serving:request_latency_bucket": {"model_name", "API", "entrypoint", "le"},
    ":tensorflow:serving:runtime_latency_bucket": {"model_name", "API", "runtime", "le"},
    ":tensorflow:serving:batching_session:queuing_latency_bucket": {"thread_pool_name", "le"},
    ":tensorflow:cc:saved_model:load_attempt_count": {"model_path", "status"},
}


def text(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def message(name, fields):
    """A message class of strings, booleans and wrapped integers, for protos that no package holds."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(name=name, syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name])
    kinds = descriptor_pb2.FieldDescriptorProto
    outer = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields.items(), start=1):
        if isinstance(kind, dict):
            nested = outer.nested_type.add(name=field.title())
            for inner, (key, value) in enumerate(kind.items(), start=1):
                nested.field.add(name=key, number=inner, type=value, label=kinds.LABEL_OPTIONAL)
            outer.field.add(
                name=field, number=number, type=kinds.TYPE_MESSAGE, type_name=f"{name}.{nested.name}", label=1
            )
        elif isinstance(kind, str):
            outer.field.add(name=field, number=number, type=kinds.TYPE_MESSAGE, type_name=kind, label=1)
        else:
            outer.field.add(name=field, number=number, type=kind, label=1)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


BOOL, STRING = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL, descriptor_pb2.FieldDescriptorProto.TYPE_STRING


def model_config():
    server = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    return text_format.Parse(text("models.config"), server.ModelServerConfig()).model_config_list.config[0]


def monitoring_config():
    """As monitoring_config.proto of TensorFlow Serving."""
    proto = message("MonitoringConfig", {"prometheus_config": {"enable": BOOL, "path": STRING}})
    return text_format.Parse(text("monitoring.config"), proto()).prometheus_config


def test_the_labels_are_of_versions_that_are_served():
    config = model_config()
    assert config.model_platform == "tensorflow"
    assert config.base_path == f"/models/{config.name}"
    assert set(config.version_labels) == {"stable", "canary"}
    assert set(config.version_labels.values()) <= set(config.model_version_policy.specific.versions)


def test_prometheus_reads_where_the_server_writes():
    config = monitoring_config()
    assert config.enable
    (job,) = yaml.safe_load(text("prometheus.yml"))["scrape_configs"]
    assert job["metrics_path"] == config.path
    (target,) = job["static_configs"][0]["targets"]
    name, port = target.split(":")
    serving = yaml.safe_load(text("docker-compose.yml"))["services"]["cpu"]
    assert name in serving["networks"]["default"]["aliases"]
    assert port == "8501"


def test_batching_never_pads_and_is_off():
    """As BatchingParameters in session_bundle_config.proto of TensorFlow Serving."""
    value = ".google.protobuf.Int64Value"
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    proto = message("BatchingParameters", {**dict.fromkeys(names, value), "pad_variable_length_inputs": BOOL})
    parameters = text_format.Parse(text("batching.config"), proto())
    assert not parameters.pad_variable_length_inputs
    assert all(getattr(parameters, name).value > 0 for name in names)
    for name in ("docker-compose.yml", "kubernetes.yml"):
        assert "enable_batching" not in text(name)


def commands():
    compose = yaml.safe_load(text("docker-compose.yml"))["services"]
    (deployment,) = (part for part in yaml.safe_load_all(text("kubernetes.yml")) if part["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {"cpu": compose["cpu"]["command"], "gpu": compose["gpu"]["command"], "kubernetes": container["args"]}


@pytest.mark.parametrize("name", ["cpu", "gpu", "kubernetes"])
def test_the_server_is_started_with_flags_that_it_has_and_files_that_exist(name):
    for argument in commands()[name]:
        flag, value = re.fullmatch(r"--(\w+)=(.+)", argument).groups()
        assert flag in FLAGS
        if value.startswith("/config/"):
            assert (FOLDER / value.removeprefix("/config/")).is_file()


def test_compose_mounts_what_is_there_and_opens_no_port_to_others():
    services = yaml.safe_load(text("docker-compose.yml"))["services"]
    assert services["gpu"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["mem_limit"]
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert volume.endswith(":ro")
            assert source in (".", "${MODELS") or (FOLDER / source).is_file()


def test_kubernetes_names_fit_together():
    parts = {part["kind"]: part for part in yaml.safe_load_all(text("kubernetes.yml"))}
    assert set(parts) == {
        "ConfigMap",
        "PersistentVolumeClaim",
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
    }
    pod = parts["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    for name, content in parts["ConfigMap"]["data"].items():
        assert content == text(name), f"{name} differs from the file"
    assert parts["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"] for port in parts["Service"]["spec"]["ports"]} == set(ports)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": f"/v1/models/{model_config().name}", "port": "rest"}
    assert set(container["resources"]) == {"requests", "limits"}
    assert pod["metadata"]["annotations"]["prometheus.io/path"] == monitoring_config().path
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
    target = parts["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", parts["Deployment"]["metadata"]["name"])
    stop = container["lifecycle"]["preStop"]["exec"]["command"]
    timeout = int(re.search(r"rest_api_timeout_in_ms=(\d+)", " ".join(container["args"]))[1]) / 1000
    assert pod["spec"]["terminationGracePeriodSeconds"] >= timeout + int(stop[1])


def test_the_dashboard_asks_for_metrics_and_labels_that_exist():
    dashboard = json.loads(text("dashboard.json"))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource", "model"}
    asked = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            for metric, selector in re.findall(r"(:tensorflow[\w:]+)(?:\{(.*?)\})?", target["expr"]):
                asked.add(metric)
                assert set(re.findall(r"(\w+)=~?\"", selector)) <= METRICS[metric]
                grouped = re.search(r"by \((.*?)\)", target["expr"])
                labels = set(grouped[1].split(", ")) if grouped else set()
                assert labels <= METRICS[metric]
                assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels
            assert set(re.findall(r"\$(?!__)(\w+)", target["expr"])) <= variables
    assert asked == set(METRICS)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.fixture(scope="module")
def server():
    folder = exported(net(depth=1), tile=34, input_dtype="uint8")
    server = StandIn(folder.parent)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy would not know this loopback


def test_the_load_test_reports_rate_and_latency(server, capsys):
    arguments = [server.rest, "cells", "--size", "16", "--requests", "12", "--concurrency", "2"]
    assert load_generator.main(arguments) == 0
    count, rate, p50, p95 = capsys.readouterr().out.splitlines()
    assert count.startswith("12 requests in ")
    assert float(rate.removesuffix(" requests/s")) > 0
    assert 0 < int(re.search(r"p50 (\d+) ms", p50)[1]) <= int(re.search(r"p95 (\d+) ms", p95)[1])
    assert len([name for name, _ in server.requests if name == "image_bytes"]) == 13


def test_the_load_test_counts_errors_and_stops_in_time(server, capsys):
    server.faults.extend([None, None, "unavailable", "unavailable"])
    assert load_generator.main([server.rest, "cells", "--size", "8", "--requests", "4", "--concurrency", "1"]) == 1
    assert re.search(r"^2 x Expected an answer .* UNAVAILABLE: injected", capsys.readouterr().out, re.MULTILINE)
    arguments = ["--size", "8", "--requests", "100000", "--seconds", "0.5"]
    assert load_generator.main([server.rest, "cells", *arguments]) == 0
    assert float(re.search(r"requests in ([\d.]+) s", capsys.readouterr().out)[1]) < 5
    assert load_generator.main(["http://127.0.0.1:1", "cells"]) == 1
    assert "load_generator: Expected an answer from http://127.0.0.1:1" in capsys.readouterr().err


def test_percentiles_are_those_of_the_latencies():
    load = load_generator.Load(2.0, [0.1 * n for n in range(1, 21)], load_generator.Counter())
    assert load.report().splitlines() == ["20 requests in 2.0 s", "10.00 requests/s", "p50 1050 ms", "p95 1905 ms"]


@pytest.mark.parametrize("arguments", [["--requests", "0"], ["--requests", "1000000"], ["--seconds", "1e9"]])
def test_the_load_test_is_bounded(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        load_generator.main(["http://localhost", "cells", *arguments])
    assert end.value.code == 2
    assert "expected 1 to 100000 requests" in capsys.readouterr().err


def test_the_load_test_is_a_command_of_python():
    command = [sys.executable, "-m", "keras_unet.export.serving.load_generator", "http://localhost", "cells"]
    done = subprocess.run([*command, "--requests", "0"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected 1 to 100000 requests" in done.stderr


@pytest.mark.parametrize(
    ("value_range", "dtype"),
    [((0, 255), np.uint8), ((3, 4000), np.uint16), ((0, 1), np.float32), ((-5, 90), np.float32)],
)
def test_noise_for_a_model_of_floats_travels_as_png_where_it_may(value_range, dtype):
    description = {"input": {"dtype": "float32", "channels": 1, "value_range": list(value_range)}}
    assert load_generator.noise(description, 8).dtype == dtype


def test_noise_is_in_the_range_of_the_model():
    description = {"input": {"dtype": "uint8", "channels": 3, "value_range": [10, 500]}}
    image = load_generator.noise(description, 64)
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert image.min() >= 10
