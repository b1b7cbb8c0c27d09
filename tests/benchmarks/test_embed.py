"""What is made of the measurements, and one measurement of each kind; how fast is not tested."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def path():
    """The benchmarks import each other as commands do."""
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def costs():
    """Two rounds; the second is slower."""
    import embed
    import embed_ways

    def of(*figures):
        return [embed.Cost(*figure) for figure in figures]

    bare = {
        "tensorflow": of((10, 0, (500,)), (8, 0, (500,))),
        "openvino": of((20, 0, (600,)), (20, 0, (610,))),
    }
    ways = {
        "BulkInferrer, tensorflow": of((9, 2, (700, 710)), (8, 2, (700, 720))),
        embed_ways.WHOLE: of((20, 10, (800, 810)), (18, 10, (800, 810))),
        embed_ways.GROWING: of((1000, 8, (800, 820)), (1000, 8, (800, 830))),
    }
    return bare, ways


def test_rows_compare_with_the_engine_alone(costs):
    """Ratios are those within a round; what the library costs is its start and its clips."""
    import embed

    rows = {row[0]: dict(zip(embed.COMPARED, row, strict=True)) for row in embed.make_rows(*costs)}
    assert rows["tensorflow alone"]["x alone"] == "1.00"
    ours = rows["BulkInferrer, tensorflow"]
    assert (ours["clips/s"], ours["x alone"]) == ("8.5", "0.95")
    assert (ours["start, s"], ours["peak MB"]) == ("2.0", "700 to 720")
    assert ours["s for 13,320 clips"] == f"~{2 + 13320 * (1 / 9 + 1 / 8) / 2:,.0f}"
    assert rows["the same, 1 % new"]["x alone"] == ""


def test_findings_are_ratios_within_a_round(costs):
    """Of the engines, and of a library that grew to a new one; none without OpenVINO."""
    import embed

    bare, ways = costs
    whole = [10 + 13320 / 20, 10 + 13320 / 18]
    share = sum((8 + 13.32) / each for each in whole) / 2
    assert embed.findings(bare, ways) == [
        "openvino alone is 2.25x as fast as tensorflow alone",
        f"1 % new clips cost ~{share:.1%} of embedding all 13,320",
    ]
    assert embed.findings({"tensorflow": bare["tensorflow"]}, {}) == ["openvino is not installed"]


def test_components_embed_what_was_prepared(tmp_path):
    """A library is embedded whole; when most of it was published, the vectors stay the same."""
    import embed_ways
    import numpy as np
    from ingest import copy_clips, make_sample
    from train_networks import Job as Clips

    from components.bulk_inferrer import tables

    source = make_sample(tmp_path / "sample.zip", groups=1, num_frames=(12, 20))
    copy_clips(source, tmp_path / "clips", 40)
    embed_ways.prepare(Clips(str(tmp_path / "clips"), str(tmp_path), 1, 1, 32), (40,))
    job = embed_ways.Job(str(tmp_path), 40, 3)
    assert embed_ways.WAYS["BulkInferrer, tensorflow"].run(job) > 0
    whole = tables.read_embeddings(str(job.result_dir("tensorflow")))
    assert len(whole.clip_ids) == 40
    assert embed_ways.run_component(job, "tensorflow", growing=True) > 0
    grown = tables.read_embeddings(str(job.result_dir("growing")))
    assert grown._replace(vectors=0) == whole._replace(vectors=0)
    np.testing.assert_array_equal(grown.vectors, whole.vectors)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--library", "5"], "expected at least 20, got 5"),
        (["--rounds", "0"], "expected at least 1, got 0"),
        (["--clips", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_arguments(arguments, message):
    """They are told before anything is measured."""
    command = [sys.executable, str(BENCHMARKS / "embed.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 2 and message in done.stderr
