"""Wheel and sdist: what a user gets from an installation, away from the checkout."""

import os
import runpy
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"keras_unet": "keras_unet", "training": "keras_unet/training", "export": "keras_unet/export"}
DATA_SUFFIXES = {".config", ".json", ".py", ".pyi", ".sh", ".toml", ".typed", ".yml"}


def run(*command: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    # Without PYTHONPATH and away from the checkout, only what is installed can be imported.
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**clean, **environment}, capture_output=True, text=True
    )


def sources() -> set[str]:
    """Paths, as a wheel names them, of every file in the three rooms."""
    return {
        f"{inside}/{path.relative_to(ROOT / room).as_posix()}"
        for room, inside in ROOMS.items()
        for path in (ROOT / room).rglob("*")
        if path.suffix in DATA_SUFFIXES and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and sdist, the wheel built from the sdist as an index user's pip would."""
    folder = tmp_path_factory.mktemp("dist")
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    if done.returncode and "setuptools" in done.stderr:  # no isolation needs setuptools in this environment
        done = run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment that holds the wheel and borrows this environment's dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    done = run(python, "-m", "pip", "install", "--no-deps", "--quiet", distributions[0])
    assert done.returncode == 0, done.stderr
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    # The borrowed folder is appended as a plain path: its .pth files, the editable install's among them, stay unread.
    (site / "borrowed.pth").write_text(str(Path(pytest.__file__).parents[1]))
    return python


def test_setup_names_every_file_of_the_three_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a wheel is made of, without making one: the modules of each package and the files that go with it."""
    setuptools = pytest.importorskip("setuptools")
    told: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", told.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    found = set()
    for package in told["packages"]:
        room = next(name for name in sorted(told["package_dir"], reverse=True) if f"{package}.".startswith(f"{name}."))
        folder = ROOT / told["package_dir"][room] / package[len(room) + 1 :].replace(".", "/")
        for pattern in ["*.py", *told["package_data"][""], *told["package_data"].get(package, [])]:
            found |= {f"{package.replace('.', '/')}/{path.name}" for path in folder.glob(pattern) if path.is_file()}
    assert found == sources()


@pytest.mark.slow
def test_wheel_and_sdist_hold_every_file_of_the_three_rooms(distributions: tuple[Path, Path]) -> None:
    wheel, sdist = distributions
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == sources()
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    rooms = {path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert rooms <= names


@pytest.mark.slow
def test_installed_wheel_imports_its_three_rooms_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = "import keras_unet, keras_unet.training, keras_unet.export; print(keras_unet.export.__file__)"
    done = run(installed, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed.parents[1])


@pytest.mark.slow
def test_installed_presets_are_found(installed: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.resources import files;"
        "print(sorted(p.name for p in (files('keras_unet.training') / 'presets').iterdir() if p.suffix == '.toml'))"
    )
    done = run(installed, "-c", code, cwd=tmp_path)
    assert "isbi2012-small.toml" in done.stdout, done.stderr


@pytest.mark.slow
def test_installed_command_answers(installed: Path, tmp_path: Path) -> None:
    done = run(installed.parent / "keras-unet", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "train", "evaluate", "predict", "export", "weight-map", "info"):
        assert command in done.stdout


@pytest.mark.parametrize("room", ["training", "export"])
def test_rooms_refuse_to_load_as_a_twin_from_the_root(room: str) -> None:
    done = run(sys.executable, "-c", f"import {room}", cwd=ROOT)
    assert done.returncode == 1
    assert f"Import keras_unet.{room} instead" in done.stderr.splitlines()[-1]
