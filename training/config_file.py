"""Configuration files: where they are found, how keys are changed from the command line, how errors read."""

import difflib
import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Values = dict[str, Any]


class ConfigError(ValueError):
    """A configuration that cannot be used; the message has one sentence or two for each mistake."""


def presets() -> list[str]:
    """Names of the configurations that come with the package."""
    folder = files(__package__) / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_source(source: str | Path) -> Values:
    """Values of a preset or of a TOML file.

    Raises:
        ConfigError: If there is neither a preset nor a file of that name, or the file is not TOML.
        OSError: If the file cannot be read.
    """
    name = str(source)
    if name in presets():
        return tomllib.loads((files(__package__) / "presets" / f"{name}.toml").read_text(encoding="utf-8"))
    path = Path(source)
    if not path.is_file():
        hint = _did_you_mean(name, presets())
        raise ConfigError(f"Expected a preset ({', '.join(presets())}) or a TOML file. Received {name!r}.{hint}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows editors begin a file with a mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: Expected TOML. {error}.") from None


def change(values: Values, overrides: list[str] | tuple[str, ...]) -> Values:
    """The values with `"section.key=value"` overrides applied.

    Raises:
        ConfigError: If an override has another form.
    """
    changed = {section: dict(keys) if isinstance(keys, dict) else keys for section, keys in values.items()}
    for override in overrides:
        key, equals, text = override.partition("=")
        *tables, last = (part.strip() for part in key.split("."))
        if not equals or not tables or not all((*tables, last)):
            raise ConfigError(f"Expected an override section.key=value. Received {override!r}.")
        _table(changed, tables, override)[last] = _value(text.strip())
    return changed


def _table(values: Values, names: list[str], override: str) -> Values:
    for name in names:
        values[name] = dict(values.get(name, {})) if isinstance(values.get(name, {}), dict) else values[name]
        values = values[name]
        if not isinstance(values, dict):
            raise ConfigError(f"Expected an override section.key=value. {name!r} is no section in {override!r}.")
    return values


def _value(text: str) -> Any:
    """A TOML value, or the text itself where it is none: `path=data/em` needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def dump(values: Values, comment: str) -> str:
    """Sections of plain values as TOML, under a line of comment."""
    lines = [f"# {comment}"]
    for section, keys in values.items():
        lines += ["", f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def sentences(error: ValidationError, model: type[BaseModel], values: Values) -> str:
    """What is wrong with `values`, one line for each key."""
    lines: dict[tuple[str, ...], str] = {}
    for mistake in error.errors():
        place = tuple(str(part) for part in mistake["loc"][:2])
        lines.setdefault(place, _sentence(place, mistake, model, values))
    return "\n".join(lines.values())


def _sentence(place: tuple[str, ...], mistake: ErrorDetails, model: type[BaseModel], values: Values) -> str:
    if mistake["type"] == "extra_forbidden":
        return _unknown(place, model)
    if not place:
        return str(mistake["ctx"]["error"])
    if len(place) == 1:
        return f"{place[0]}: Expected a section of keys. Received {values[place[0]]!r}."
    return _wrong_value(place, values, mistake, model)


def _unknown(place: tuple[str, ...], model: type[BaseModel]) -> str:
    known = _keys(_section(model, place[0]) if len(place) > 1 else model)
    what = "key" if len(place) > 1 else "section"
    hint = _did_you_mean(place[-1], known) or f" Expected one of {', '.join(known)}."
    return f"Unknown {what} {'.'.join(place)}.{hint}"


def _wrong_value(place: tuple[str, ...], values: Values, mistake: ErrorDetails, model: type[BaseModel]) -> str:
    section, key = place
    received = values[section][key]
    fields = _section(model, section).model_fields.items()
    described = next((field.description for name, field in fields if key in (name, field.alias)), None)
    expected = described or mistake["msg"].removeprefix("Input should be ")
    if mistake["type"].startswith("bool"):
        expected = "true or false"
    if expected.startswith(("greater", "less")):
        expected = f"a value {expected}"
    legal = str(mistake.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
    return f"{section}.{key}: Expected {expected}. Received {received!r}.{_did_you_mean(str(received), legal)}"


def _section(model: type[BaseModel], name: str) -> type[BaseModel]:
    annotation = model.model_fields[name].annotation
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        raise TypeError(f"Expected {name} to be a section.")
    return annotation


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near and near[0] else ""
