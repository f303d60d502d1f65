"""The notebooks run from the first cell to the last, in a small mode."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import keras_unet as ku

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_python_and_what_they_take_from_the_package_exists(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    # Without the lines that are for the notebook itself, ! and %.
    code = "\n".join(
        line
        for cell in cells
        if cell.cell_type == "code"
        for line in cell.source.splitlines()
        if line.lstrip()[:1] not in ("!", "%")
    )
    names = {"ku": ku}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("keras_unet"):
            exec(ast.unparse(node), names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith("ku."):
            eval(ast.unparse(node), names)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_UNET_STEPS", "4")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 4


def test_notebooks_are_committed_without_output() -> None:
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert not any(cell.get("outputs") for cell in cells), f"{path.name} holds outputs"
