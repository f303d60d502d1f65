"""The order of the rooms: arrows run one way, there is no circle, and no two things have one name."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = {"keras_unet": ROOT / "keras_unet", **{f"keras_unet.{room}": ROOT / room for room in ("training", "export")}}

# From top to bottom: a room imports from those below it, and from none beside it.
ORDER = (
    {"cli"},
    {"commands"},
    {"training", "export"},
    {"pipeline", "inference", "visualization"},
    {"models"},
    {"metrics"},
    {"challenge", "datasets"},
    {"image_io"},
    {"augment", "losses", "instances"},
    {"preprocessing"},
    {"utils"},
)
LEVELS = {room: level for level, rooms in enumerate(ORDER) for room in rooms}

Sources = dict[str, str]
"""Text of each module by its dotted name; a package is named without `__init__`."""


def house() -> Sources:
    """Every module of the three folders."""
    sources = {}
    for package, folder in PLACES.items():
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            dotted = ".".join((package, *(part for part in parts if part != "__init__")))
            sources[dotted] = file.read_text()
    return sources


def imports(sources: Sources) -> Iterator[tuple[str, str]]:
    """Pairs of modules, of which the first imports the second or a name of it; imports in functions count too."""
    for module, text in sources.items():
        package = module if any(other.startswith(f"{module}.") for other in sources) else module.rpartition(".")[0]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                yield from ((module, alias.name) for alias in node.names if alias.name in sources)
            elif isinstance(node, ast.ImportFrom):
                above = package.rsplit(".", node.level - 1)[0] if node.level else ""
                base = ".".join(part for part in (above, node.module) if part)
                for alias in node.names:
                    name = f"{base}.{alias.name}"
                    if name in sources or base in sources:
                        yield module, name if name in sources else base


def room(module: str) -> str:
    """The room of a module; the package's own file is in none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def wrong_arrows(sources: Sources) -> list[str]:
    """Imports from a room that is not below."""
    arrows = {(room(one), room(other), one, other) for one, other in imports(sources)}
    return [
        f"{one} imports {other}"
        for here, there, one, other in sorted(arrows)
        if here and there and here != there and not LEVELS[here] < LEVELS[there]
    ]


def circle(sources: Sources) -> list[str]:
    """Modules that import each other in a ring; an empty list if there are none."""
    arrows = defaultdict(set)
    for one, other in imports(sources):
        if other != one and not one.startswith(f"{other}."):
            arrows[one].add(other)
    done: set[str] = set()

    def search(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in sorted(arrows[module]):
            if found := search(other, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(sources) if (found := search(module, []))), [])


def homonyms(sources: Sources) -> list[str]:
    """Names of more than one module, and of more than one public class.

    A subcommand has a module in `cli` and one in `commands`, both named as the user types it.
    """
    modules = Counter(module.rpartition(".")[2] for module in sources if room(module) != "cli")
    classes = Counter(
        node.name
        for text in sources.values()
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    return sorted(name for names in (modules, classes) for name, count in names.items() if count > 1)


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room(module) for module in house()} - {""} == set(LEVELS)


def test_arrows_run_one_way() -> None:
    assert wrong_arrows(house()) == []


def test_no_modules_import_each_other() -> None:
    assert circle(house()) == []


def test_no_two_things_have_one_name() -> None:
    assert homonyms(house()) == []


@pytest.mark.parametrize(
    "line",
    [
        "from keras_unet.models.unet import UNet",
        "from keras_unet.models import unet",
        "import keras_unet.models.unet",
        "def f():\n    from keras_unet import models",
        "from ..models import unet",
    ],
)
def test_a_wrong_arrow_is_seen(line: str) -> None:
    sources = {
        "keras_unet.losses.dice": line,
        "keras_unet.losses": "",
        "keras_unet.models": "",
        "keras_unet.models.unet": "",
    }
    assert len(wrong_arrows(sources)) == 1
    assert wrong_arrows({**sources, "keras_unet.losses.dice": ""}) == []


def test_a_circle_and_a_homonym_are_seen() -> None:
    one, other, third = "keras_unet.utils.one", "keras_unet.utils.other", "keras_unet.losses.one"
    sources = {
        "keras_unet.utils": "",
        "keras_unet.losses": "",
        one: "from keras_unet.utils.other import a\nclass Same: ...",
        other: "def f():\n    from . import one\nclass Same: ...",
        third: "",
    }
    assert circle(sources) == [one, other, one]
    assert homonyms(sources) == ["Same", "one"]
    assert circle({**sources, other: ""}) == []
