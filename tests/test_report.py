"""The page of `keras-unet report`: well formed, in one file, true to `evaluate`, safe whatever files are called."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import done, mistake, wrong_use
from helpers.runs import cells, quiet, tiny
from helpers.stub_training import untrained
from PIL import Image

from keras_unet import training
from keras_unet.commands.report.page import write_report
from keras_unet.training.config import ConfigError

VOID = {"meta", "link", "img", "br"}
EVIL = "<script>alert(1)<b>&\"'"  # legal in names of files


class Page(HTMLParser):
    """A page taken apart; elements that are not closed, or in the wrong place, are refused."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        elif tag == "data":
            self.tables[-1][-1][-1] += dict(attributes)["value"] or "" if "tr" in self.open else ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text += text
        if {"th", "td"} & set(self.open) and "data" not in self.open:
            self.tables[-1][-1][-1] += text

    def table(self, heading: str) -> dict[str, dict[str, str]]:
        """The table whose first column has this heading: rows by name, cells by heading."""
        rows = next(table for table in self.tables if table[0][0] == heading)
        return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[1:]}

    def pictures(self) -> list[Image.Image]:
        sources = [str(attributes["src"]) for tag, attributes in self.tags if tag == "img"]
        prefix = "data:image/png;base64,"
        assert all(source.startswith(prefix) for source in sources)
        pictures = [Image.open(io.BytesIO(base64.b64decode(source.removeprefix(prefix)))) for source in sources]
        for picture in pictures:
            picture.load()
            assert picture.format == "PNG"
        return pictures


def write_data(folder: Path) -> Path:
    """Three images of two cells that touch, as files."""
    for sample in cells():
        for part, pixels in (("images", sample.image[..., 0]), ("labels", sample.labels.astype(np.uint8))):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / part / f"{sample.name} {EVIL.replace('/', '')}.png")
    return folder


def train(out: Path, data: Path, **changes: object) -> Path:
    options = {"data_name": "folder", "data_path": str(data), "data_validate": "1-2"}
    options["data_options"] = {"label_kind": "instances"}
    with untrained():
        training.run(tiny(**{**options, **changes}), out, say=quiet)
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / EVIL)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("runs") / f"run {EVIL}", data)


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """The run, to be damaged."""
    return Path(shutil.copytree(run, tmp_path / "copied"))


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("page") / "new folder" / "report.html"
    assert write_report([run], out) == []
    return Page(out)


def report(tmp_path: Path, *runs: Path, **options: object) -> tuple[Page, list[str]]:
    lacks = write_report(list(runs), tmp_path / "report.html", **options)  # type: ignore[arg-type]
    return Page(tmp_path / "report.html"), lacks


def test_the_page_fetches_nothing_and_runs_nothing(page: Page) -> None:
    assert not {"script", "iframe", "object", "link", "form"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action", "srcset", "xlink:href"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:image/png;base64,"))
        assert "url(" not in str(attributes.get("style"))
    styles = re.findall(r"@import|url\(|https?:", page.text)
    assert styles == []
    policy = next(attributes for _, attributes in page.tags if attributes.get("http-equiv"))
    assert str(policy["content"]).startswith("default-src 'none'")


def test_names_of_files_are_shown_as_text(page: Page) -> None:
    assert page.text.count(EVIL) > 5, "run, data and images carry it"
    assert page.text.count(f"cells 2 {EVIL}.png") == 2, "in the table and above its pictures"
    assert not {"b", "script"} & {tag for tag, _ in page.tags}


def test_figures_are_those_of_evaluate(page: Page, run: Path, tmp_path: Path) -> None:
    done("evaluate", run, "--json", tmp_path / "figures.json")
    evaluated = json.loads((tmp_path / "figures.json").read_text())
    table = page.table("image")
    expected = {"all images": evaluated["figures"]}
    expected |= {name.rpartition("/")[2]: one for name, one in evaluated["by_image"].items()}
    assert set(table) == set(expected)
    for name, one in expected.items():
        assert float(table[name]["mean IoU"]) == one["mean_iou"]
        assert float(table[name]["Dice, object"]) == one["dice"]["object"]
        assert float(table[name]["pixel error"]) == one["pixel_error"]
        assert float(table[name]["SEG"]) == one["seg"]
        assert int(table[name]["touching pairs"]) == one["touching_pairs"]


def test_the_worst_image_comes_first_with_six_pictures_of_its_size(page: Page) -> None:
    table = page.table("image")
    worst, best = (float(table[name]["mean IoU"]) for name in list(table)[1:])
    assert worst <= best
    assert [picture.size for picture in page.pictures()] == [(32, 32)] * 12
    captions = ("image", "truth: 2 objects", "weight map, 0 to", "probability of object", "found: ", "errors")
    places = [page.text.index(caption, page.text.index("1. cells")) for caption in captions]
    assert places == sorted(places)


def test_of_an_error_the_highest_comes_first(data: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(data, tmp_path / "data"))
    merged = sorted((other / "labels").iterdir())[2]
    Image.fromarray((np.asarray(Image.open(merged)) > 0).astype(np.uint8)).save(merged)
    run = train(tmp_path / "run", other, training_monitor="rand_error")
    page, lacks = report(tmp_path, run)
    errors = [float(row["Rand error"]) for row in list(page.table("image").values())[1:]]
    assert len(set(errors)) > 1
    assert lacks == []
    assert errors == sorted(errors, reverse=True)
    assert "Highest Rand error first." in page.text
    assert "Rand error (decides)" in page.table("figure")


def test_figures_of_the_log_are_those_of_the_run(page: Page, run: Path) -> None:
    told = json.loads((run / "report.json").read_text())
    assert "Share of dead filters by level" in page.text
    rows = [line.split(",") for line in (run / "log.csv").read_text().splitlines()]
    logged = {int(row[0]): float(row[5]) for row in rows[1:] if row[5]}
    row = page.table("figure")["mean IoU (decides)"]
    assert float(row["best"]) == max(logged.values())
    assert float(row[f"at the kept step {told['best_step']}"]) == logged[told["best_step"]]
    assert float(row["last"]) == logged[6]
    for fact in ("6 of 6 steps", f"{told['parameters']:,}", "32 x 32 to 32 x 32 pixels", "learning_rate = 0.01"):
        assert fact in page.text


def test_several_runs_lie_over_one_another_and_differ_in_what_was_set(run: Path, data: Path, tmp_path: Path) -> None:
    other = train(tmp_path / "other", data, optimizer_learning_rate=0.02, loss_w0=0.0)
    page, lacks = report(tmp_path, run, other, worst=1)
    assert lacks == []
    differing = page.table("setting")
    assert set(differing) == {"optimizer.learning_rate", "loss.w0"}
    assert list(differing["optimizer.learning_rate"].values()) == ["0.01", "0.02"]
    assert len(page.table("run")) == 2
    links = {str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"}
    assert links == {attributes["id"] for _, attributes in page.tags if "id" in attributes} == {"run-1", "run-2"}
    assert len(page.pictures()) == 6 + 5, "the other run has no weight map"
    rings = [attributes for tag, attributes in page.tags if tag == "circle" and attributes.get("r") == "5.5"]
    assert len(rings) == 2 + 2, "in the chart of both runs, and in each one's own"


def test_without_its_data_a_run_is_shown_with_what_it_reported(copied: Path, data: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    text = (copied / "config.toml").read_text()
    (copied / "config.toml").write_text(re.sub("(?m)^path = .*", 'path = "/gone"', text))
    page, lacks = report(tmp_path, copied)
    assert len(lacks) == 1
    assert "No figures or pictures of single images:" in lacks[0]
    assert lacks[0].removeprefix("copied: ") in page.text
    assert page.pictures() == []
    told = json.loads((copied / "report.json").read_text())["validation"]
    assert float(page.table("image")["all images"]["mean IoU"]) == told["mean_iou"]
    page, lacks = report(tmp_path, copied, data=moved)
    assert (lacks, len(page.pictures())) == ([], 12)


def test_images_that_are_not_those_of_the_run_are_told(copied: Path, data: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(data, tmp_path / "changed"))
    files = sorted((changed / "images").iterdir())
    Image.new("L", (32, 32), 7).save(files[1])
    page, _ = report(tmp_path, copied, data=changed)
    assert page.text.count("Changed since the run was validated:") == 1
    Image.new("L", (32, 32), 7).save(files[2])
    _, lacks = report(tmp_path, copied, data=changed)
    assert "Expected the images that the run was validated on. Received 2 others" in lacks[0]


def test_an_unfinished_run_a_damaged_line_and_another_version_are_told(copied: Path, tmp_path: Path) -> None:
    for name in ("report.json", "model.keras", "provenance.json"):
        (copied / name).unlink()
    shutil.rmtree(copied / "checkpoints")
    lines = (copied / "log.csv").read_text().splitlines()
    (copied / "log.csv").write_text("\n".join([*lines[:3], "4,rubbish", ""]))
    page, lacks = report(tmp_path, copied)
    assert "Unfinished: 3 of 6 steps done." in page.text
    assert "1 line of log.csv is damaged and left out." in page.text
    assert "The run has kept no model yet" in lacks[0]
    (copied / "config.toml").write_text((copied / "config.toml").read_text().replace("batch_size", "batch"))
    page, lacks = report(tmp_path, copied)
    assert "The configuration is of another version: Unknown key training.batch." in page.text
    assert "Expected a configuration of this version" in lacks[0]


def test_a_run_without_validation_says_so(data: Path, tmp_path: Path) -> None:
    page, lacks = report(tmp_path, train(tmp_path / "run", data, data_validate=0.0))
    assert "so it has no validation figures" in page.text
    assert lacks == [
        "run: No figures or pictures of single images: The run has no validation images: data.validate is 0."
    ]
    assert page.text.count("No figures yet.") == 1


def test_an_earlier_report_is_replaced_and_nothing_else(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("<!DOCTYPE html><title>mine</title>")
    with pytest.raises(FileExistsError, match="Expected a new file or an earlier report"):
        write_report([run], out)
    assert "mine" in out.read_text()
    for overwrite in (True, False):
        write_report([run], out, worst=0, overwrite=overwrite)
        assert "keras-unet report" in out.read_text()
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(FileExistsError, match="which is a folder"):
        write_report([run], tmp_path / "folder.html", overwrite=True)


def test_what_is_no_run_is_refused_and_nothing_written(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "report.html"
    with pytest.raises(ConfigError, match=r"Expected a run folder with its config.toml. Received '.*nothing'"):
        write_report([run, tmp_path / "nothing"], out)
    with pytest.raises(ValueError, match="Expected each run once"):
        write_report([run, run / ".." / run.name], out)
    assert not out.parent.exists()
    assert "Expected a run folder" in mistake("report", tmp_path, "--out", out)
    assert "Expected a file name in .html for --out" in wrong_use("report", run, "--out", "report.pdf")
