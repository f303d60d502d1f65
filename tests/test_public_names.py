"""What `ku.` holds: the rooms and the listed names, whatever was imported before; documents use what is there."""

import ast
import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pytest

import keras_unet as ku

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]  # the notebooks have a test of their own
NOT_LISTED = {"cli", "commands"}  # the command line, which is no library


def test_the_package_holds_its_rooms_and_no_module_beside_them() -> None:
    modules = {module.name for module in iter_modules(ku.__path__)} - NOT_LISTED
    assert modules | {"training", "export"} | {"geometry"} == {
        name for name in ku.__all__ if isinstance(getattr(ku, name), ModuleType)
    }


@pytest.mark.parametrize(
    "room", [ku, *(getattr(ku, name) for name in sorted(ku.__all__) if hasattr(getattr(ku, name), "__path__"))]
)
def test_every_listed_name_is_there(room: ModuleType) -> None:
    for name in getattr(room, "__all__", ()):
        assert getattr(room, name) is not None


def test_a_listed_name_is_the_same_before_and_after_its_module_is_imported() -> None:
    before = ku.instances.instances
    import_module("keras_unet.instances.components")
    assert ku.instances.instances is before
    with pytest.raises(AttributeError, match="No keras_unet attribute rotated"):
        _ = ku.rotated


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_import_what_is_there(document: Path) -> None:
    for code in re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("keras_unet"):
                exec(ast.unparse(node), {})
            elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith("ku."):
                eval(ast.unparse(node), {"ku": ku})
