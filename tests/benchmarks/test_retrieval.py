"""The table against the pipeline's own report, and against figures made by hand."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import sample_library
from benchmarks import retrieval_table, seed_system
from tests.benchmarks.test_ingest import tables
from tests.e2e.runs import CLASSES, CLIPS_PER_GROUP

COMMAND = Path(__file__).parents[2] / "benchmarks" / "retrieval.py"
SMALL = (
    "--num-frames", 4, "--frame-step", 5, "--image-size", 32, "--epochs", 1, "--batch-size", 4,
)  # fmt: skip


class Result(NamedTuple):
    code: int
    stdout: str
    stderr: str
    folder: Path


def run(folder: Path, *arguments: object) -> Result:
    command = [sys.executable, str(COMMAND), *map(str, arguments), f"--output-dir={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return Result(done.returncode, done.stdout, done.stderr, folder)


def rows_of(result: Result) -> dict[str, list[str]]:
    """Returns the cells of the table's rows by their first."""
    (table,) = tables(result.stdout)
    return {name: cells for name, *cells in table}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """A zip of 30 clips in three classes."""
    return sample_library.make_library(
        tmp_path_factory.mktemp("library") / "library.zip",
        classes=CLASSES,
        clips_per_group=CLIPS_PER_GROUP,
        num_frames=(18, 26),
    )


@pytest.fixture(scope="module")
def result(library, tmp_path_factory) -> Result:
    """A run of the pipeline and of the seed system."""
    options = ("--source", library, "--seed", 1, *SMALL)
    seed_options = ("--seed-system", "--seed-system-size", 32, "--minutes", 0.001)
    found = run(tmp_path_factory.mktemp("output"), *options, *seed_options)
    assert found.code == 0, found.stdout + found.stderr
    return found


def test_the_table_shows_the_report(result):
    """Every figure and interval of retrieval.json, in percent."""
    (path,) = result.folder.glob("*/pipeline/RetrievalEvaluator/evaluation/*/retrieval.json")
    report = json.loads(path.read_text())["candidate"]
    bounds = report["intervals"]
    expected = [
        (report["recall"][rank], *bounds["recall"][rank]) for rank in ("1", "5", "10", "20", "50")
    ]
    expected.append((report["map_at_10"], *bounds["map_at_10"]))
    split, seed, *cells = rows_of(result)["this pipeline"]
    assert (split, seed) == ("ucf101-1", "1")
    shown = [[float(number) for number in re.findall(r"[\d.]+", cell)] for cell in cells]
    np.testing.assert_allclose(shown, 100 * np.array(expected), atol=0.051)


def test_the_seed_system_stands_beside(result):
    """It trained on the training clips of the run, and has a figure and bounds in each column."""
    assert re.search(r"seed system: \d+ steps on 18 clips", result.stdout)
    _, seed, *cells = rows_of(result)["seed system"]
    assert seed == "1"
    shown = [[float(number) for number in re.findall(r"[\d.]+", cell)] for cell in cells]
    assert np.shape(shown) == (6, 3)
    assert all(0 <= low <= value <= high <= 100 for value, low, high in shown)


def test_published_figures_are_cited_and_told_apart(result):
    """They are all there, each with its source, and are said not to compare with this library."""
    rows = rows_of(result)
    for name, recall in (
        ("R3D, random weights", "9.9"),
        ("VCOP", "14.1"),
        ("IIC", "42.4"),
        ("TCLR", "56.1"),
        ("ViCC", "62.1"),
    ):
        assert rows[name] == ["ucf101-1", recall]
        assert re.search(rf"^{name}: .* et al\., .* 20\d\d$", result.stdout, re.MULTILINE)
    assert "NOT comparable" in result.stdout
    assert "3 classes, 6 queries in 24 clips" in result.stdout


def test_a_second_run_repeats_nothing(result, library):
    """The same options find the same folder, where nothing is to be done, and the same row."""
    again = run(result.folder, "--source", library, "--seed", 1, *SMALL)
    assert again.code == 0, again.stderr
    assert "already up to date" in again.stdout
    assert rows_of(again)["this pipeline"] == rows_of(result)["this pipeline"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--split", "random"), "--split: expected one of"),
        (("--epochs", 0), "--epochs: expected 1 to"),
        (("--epoch", 1), "--epoch"),
        (("--source", "absent"), "absent"),
        (("--minutes", 1), "--minutes: expected more than 0, with --seed-system"),
        (("--seed-system", "--seed-system-size", 8), "--seed-system-size: expected at least 16"),
    ],
)
def test_bad_arguments_are_named(arguments, message, tmp_path):
    """A bad argument ends the command at once, with one line, also one of local_runner.py's."""
    found = run(tmp_path / "output", *arguments)
    assert found.code == 2
    assert message in found.stderr.splitlines()[-1]
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("split", "classes", "gallery", "queries", "comparable"),
    [
        ("ucf101-1", 101, 9537, 3783, True),
        ("ucf101-1", 101, 9530, 3783, True),
        ("ucf101-2", 101, 9537, 3783, False),
        ("ucf101-1", 100, 9537, 3783, False),
        ("ucf101-1", 101, 9000, 3783, False),
        ("ucf101-1", 101, 3783, 9537, False),
    ],
)
def test_only_ucf101s_split_1_compares(split, classes, gallery, queries, comparable):
    """All of its classes and clips, but for a few that are the same."""
    report = {
        "recall_at_1_per_class": dict.fromkeys(map(str, range(classes)), 0.5),
        "num_gallery": gallery,
        "num_queries": queries,
    }
    note = retrieval_table.comparability(split, report)
    assert ("NOT comparable" not in note) is comparable
    assert "without" in note and "labels" in note


def figures(value: float) -> dict:
    recall = dict.fromkeys(("1", "5", "10", "20", "50"), value)
    return {"recall": recall, "map_at_10": value / 2, "intervals": None}


def test_means_stand_below_several_runs():
    """Of each system that has more than one, without intervals."""
    ours = [
        retrieval_table.Row("ours", "ucf101-1", str(i), figures(v)) for i, v in ((1, 0.5), (2, 0.7))
    ]
    other = [retrieval_table.Row("other", "ucf101-1", "1", figures(0.25))]
    rows = [row.cells() for row in retrieval_table.all_rows([ours, other])]
    assert [row[0] for row in rows[:4]] == ["ours", "ours", "other", "ours, mean of 2"]
    assert rows[3][3:] == ["60.0"] * 5 + ["30.0"]
    assert rows[2][3:] == ["25.0"] * 5 + ["12.5"]


def test_the_seed_systems_figures_are_those_of_the_protocol():
    """Test clips ask for all others; recall@1 and @5 against a loop over cosines."""
    rng = np.random.default_rng(0)
    clips = [
        {
            "split": ("train", "eval", "test")[index % 3],
            "class_name": f"Class{rng.integers(4)}",
            "group": f"Group{index % 7}",
        }
        for index in range(60)
    ]
    vectors = rng.normal(size=(60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = seed_system.measure(clips, vectors)
    for k in (1, 5):
        hits = []
        for clip, vector in zip(clips, vectors, strict=True):
            if clip["split"] == "test":
                gallery = [i for i, other in enumerate(clips) if other["split"] != "test"]
                nearest = sorted(gallery, key=lambda i: -float(vectors[i] @ vector))[:k]
                hits.append(any(clips[i]["class_name"] == clip["class_name"] for i in nearest))
        assert found["recall"][str(k)] == pytest.approx(np.mean(hits))
    assert (found["num_queries"], found["num_gallery"]) == (20, 40)
    low, high = found["intervals"]["recall"]["1"]
    assert low <= found["recall"]["1"] <= high
