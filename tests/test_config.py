"""Configurations: presets, overrides, refusals that help, the round trip through a file."""

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from keras_unet.training.config import Config, ConfigError, config_from_dict, dump, load_config
from keras_unet.training.config_file import presets


def refused(values: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        config_from_dict(values)


def test_the_promised_presets_are_there_and_all_load() -> None:
    assert {"isbi2012", "isbi2012-small", "synthetic", "phc", "dsb2018-small"} <= set(presets())
    for name in presets():
        assert isinstance(load_config(name), Config)


@pytest.mark.parametrize("name", presets())
def test_a_preset_tells_its_command_cost_and_score_first(name: str) -> None:
    head = (files("keras_unet.training") / "presets" / f"{name}.toml").read_text().partition("\n[")[0]
    assert f"\n# Command:  keras-unet train {name} " in head
    assert "\n# Time:     " in head


@pytest.mark.parametrize("name", ["dic-hela", "isbi2012", "phc"])
def test_presets_for_gpus_are_the_paper_s_net_and_optimizer(name: str) -> None:
    config = load_config(name)
    assert (config.model.filters, config.model.depth, config.model.padding) == (64, 4, "valid")
    assert (config.optimizer.name, config.optimizer.momentum) == ("sgd", 0.99)
    assert (config.training.input_size, config.training.batch_size) == (572, 1)


def test_the_preset_of_the_paper_has_the_paper_s_numbers() -> None:
    config = load_config("isbi2012")
    assert (config.model.filters, config.model.depth, config.model.padding) == (64, 4, "valid")
    assert (config.training.input_size, config.training.batch_size) == (572, 1)
    assert (config.optimizer.name, config.optimizer.momentum) == ("sgd", 0.99)
    assert (config.loss.w0, config.loss.sigma) == (10.0, 5.0)


def test_a_mistyped_key_is_refused_with_the_nearest() -> None:
    refused({"training": {"batchsize": 1}}, r"Unknown key training.batchsize. Did you mean batch_size\?")
    refused({"trainning": {}}, r"Unknown section trainning. Did you mean training\?")
    refused({"loss": {"zzz": 1}}, "Unknown key loss.zzz. Expected one of kind, w0")


def test_a_wrong_value_is_refused_with_what_came_and_the_nearest_word() -> None:
    refused({"training": {"precision": "mixed_bfloat"}}, r"Received 'mixed_bfloat'. Did you mean mixed_bfloat16\?")
    refused({"optimizer": {"name": "adm"}}, r"optimizer.name: .*Received 'adm'. Did you mean adam\?")
    refused({"optimizer": {"schedule": "cosinus"}}, r"optimizer.schedule: .*Received 'cosinus'. Did you mean cosine\?")
    refused({"training": {"steps": 0}}, "training.steps: Expected a value greater than or equal to 1. Received 0.")
    refused({"training": {"steps": "many"}}, "training.steps: Expected a valid integer. Received 'many'.")
    refused({"optimizer": {"centralize": "maybe"}}, "optimizer.centralize: Expected true or false. Received 'maybe'.")
    refused({"optimizer": {"learning_rate": float("nan")}}, "optimizer.learning_rate: .*Received nan")
    refused({"model": 3}, "model: Expected a section of keys. Received 3.")


def test_each_mistake_has_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict({"training": {"stps": 3, "seed": -1}, "data": {"validate": 1.5}})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith('data.validate: Expected a fraction from 0 to below 1, or indices such as [0, 1] or "20')


def test_an_impossible_tile_is_refused_with_the_nearest_legal_ones() -> None:
    refused({"training": {"input_size": 570}}, "training.input_size: .*Received 570. Nearest legal: 556 or 572.")


def test_a_warm_up_longer_than_the_run_is_refused_with_one_that_is_not() -> None:
    values = {"optimizer": {"warmup_steps": 500}, "training": {"steps": 50}}
    refused(values, "at most training.steps = 50. Received 500: .* such as --set optimizer.warmup_steps=5.$")
    values["optimizer"]["warmup_steps"] = 5
    assert config_from_dict(values).optimizer.warmup_steps == 5


def test_a_run_made_shorter_takes_a_shorter_warm_up_unless_told_otherwise() -> None:
    assert load_config("isbi2012-small").optimizer.warmup_steps == 100
    assert load_config("isbi2012-small", ["training.steps=40"]).optimizer.warmup_steps == 4
    assert load_config("isbi2012-small", ["training.steps=400"]).optimizer.warmup_steps == 100
    with pytest.raises(ConfigError, match="optimizer.warmup_steps: Expected at most training.steps = 40. Received 60"):
        load_config("isbi2012-small", ["training.steps=40", "optimizer.warmup_steps=60"])


def test_overrides_change_keys_as_toml_or_else_as_text(tmp_path: Path) -> None:
    changes = [
        "data.path=some folder/em",
        "data.validate=[1, 3]",
        "data.options.count=4",
        "training.xla=true",
        "loss.class_weights=none",
        "optimizer.learning_rate=3e-4",
    ]
    config = load_config("synthetic", changes)
    assert config.data.path == str(Path("some folder/em").absolute())
    assert config.data.validate_on == [1, 3]
    assert config.data.options == {"count": 4, "size": 384, "seed": 0}
    assert config.training.xla is True
    assert config.loss.class_weights == "none"
    assert config.optimizer.learning_rate == 3e-4


@pytest.mark.parametrize("override", ["training.steps", "steps=3", ".steps=3", "training.steps.more=3"])
def test_an_override_of_another_form_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="Expected an override section.key=value"):
        load_config("synthetic", [override])


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Received 'isbi2012-smal'. Did you mean isbi2012-small\?"):
        load_config("isbi2012-smal")


def test_a_file_that_is_no_toml_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training\nsteps = 3")
    with pytest.raises(ConfigError, match="mine.toml: Expected TOML"):
        load_config(path)


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    """Quotes, backslashes, newlines and letters beyond ASCII too."""
    odd = 'a "quoted"\\path\n\t with ünïcode 😀 \x7f'
    values = {
        "data": {"name": "folder", "path": f"/{odd}", "options": {odd: [1, "x", 2.5, True]}, "validate": "0-3"},
        "loss": {"class_weights": [1, 0.1]},
        "model": {"pixel_normalization": "range", "value_range": [0, 4095.0]},
        "optimizer": {"learning_rate": 1e-05},
    }
    config = config_from_dict(values)
    path = tmp_path / "config.toml"
    path.write_text(dump(config.to_dict(), "a comment"), encoding="utf-8")
    assert load_config(path) == config
    assert tomllib.loads(path.read_text(encoding="utf-8"))["data"]["options"] == {odd: [1, "x", 2.5, True]}


def test_augmentation_has_the_keys_of_the_library_s_settings_and_their_defaults() -> None:
    from dataclasses import asdict

    from keras_unet.augment.augmentation_settings import AugmentationSettings

    assert AugmentationSettings(**Config().augmentation.model_dump()) == AugmentationSettings()
    assert Config().augmentation.model_dump().keys() == asdict(AugmentationSettings()).keys()


@pytest.mark.parametrize("text", ["3-1", "0-99999999999"])
def test_impossible_ranges_of_samples_are_refused_without_being_written_out(text: str) -> None:
    from keras_unet.datasets.synthetic_cells import synthetic
    from keras_unet.training.data_split import split

    with pytest.raises(ConfigError, match="data.train: Expected"):
        split(synthetic(4, 32), config_from_dict({"data": {"train": text, "validate": 0}}).data)


def test_a_value_range_must_rise() -> None:
    refused({"model": {"value_range": [5, 1], "pixel_normalization": "range"}}, "lowest and highest")
    refused({"training": {"batch_size": 10**12}}, "batch_size")


def test_a_value_range_goes_with_the_normalisation_that_takes_one() -> None:
    refused({"model": {"value_range": [0, 5]}}, 'model.value_range: Expected it with .* = "range" alone')


def test_xla_and_determinism_exclude_each_other() -> None:
    refused({"training": {"xla": True, "deterministic": True}}, "training.xla: Expected false with .*deterministic")


def test_sizes_that_no_machine_could_hold_are_refused_with_the_reason() -> None:
    refused({"training": {"input_size": 10**12}}, "training.input_size: Expected 1 to 32768 pixels, .* 4 GiB")
    refused({"model": {"filters": 10**12}}, "model.filters: Expected 1 to 1024 filters")


def test_a_file_may_begin_with_the_mark_of_windows_editors(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_text("training = {steps = 7}", encoding="utf-8-sig")
    assert load_config(path).training.steps == 7
