"""The command that asks."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import sample_library
from components import published
from pipeline import answers
from tests.published_library import make_inputs, publish_next

ROOT = Path(__file__).resolve().parent.parent

QUICK = """
import sys
import recommend
code = recommend.main(sys.argv[1:])
heavy = {"tensorflow", "tfx", "keras", "cv2", "apache_beam", "pandas"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""


class _Colors(tf.Module):
    """Embeds a clip as the mean color of each of its frames."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def embed(self, examples):
        spec = {
            "clip_id": tf.io.FixedLenFeature([], tf.string),
            "frames": tf.io.FixedLenFeature([3], tf.string),
        }
        parsed = tf.io.parse_example(examples, spec)

        def color(jpeg):
            return tf.reduce_mean(tf.cast(tf.io.decode_jpeg(jpeg), tf.float32), axis=(0, 1))

        colors = tf.map_fn(
            color, tf.reshape(parsed["frames"], [-1]), fn_output_signature=tf.float32
        )
        return {"clip_id": parsed["clip_id"], "embedding": tf.reshape(colors, [-1, 9])[:, :8]}


def ask(*arguments, script=None):
    command = [sys.executable, *(("-c", script) if script else ("recommend.py",)), *arguments]
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def push_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    inputs = make_inputs(folder / "in")
    module = _Colors()
    tf.saved_model.save(module, inputs["parts"].model_dir, signatures={"embed": module.embed})
    publish_next(folder / "out", **inputs)
    return folder / "out"


def test_answers_by_id_without_tensorflow(push_dir):
    """Neighbors and scores, as a table and as JSON, and no heavy library is loaded."""
    clip_id = "v_Rise_g02_c01"
    expected = published.open_published(push_dir).recommend(clip_id)
    shown = ask("--push-dir", push_dir, "--clip-id", clip_id, script=QUICK)
    assert shown.returncode == 0, shown.stderr
    for recommendation in expected:
        line = next(line for line in shown.stdout.splitlines() if recommendation.clip_id in line)
        assert line.split()[:2] == [str(recommendation.rank), f"{recommendation.score:.4f}"]
    as_json = ask(
        "--push-dir", push_dir, "--clip-id", clip_id, "-k", "2", "--format", "jsonl", script=QUICK
    )
    answer = json.loads(as_json.stdout)
    assert answer["query"] == clip_id and answer["version"] == 1
    assert answer["neighbors"] == [dict(r._asdict()) for r in expected[:2]]


def test_conditions(push_dir):
    """Group, class and score narrow the answer, which is as long as it can be."""
    version = published.open_published(push_dir)
    everything = version.recommend("v_Rise_g02_c01", 11, min_score=-1)
    assert len(everything) == 11
    assert version.recommend("v_Rise_g02_c01")[:3] == everything[:3]
    found = version.recommend("v_Rise_g02_c01", 11, class_name="Fall")
    of_class = [(r.clip_id, r.score) for r in everything if r.class_name == "Fall"]
    assert [(r.clip_id, r.score) for r in found] == of_class and len(found) == 6
    assert [r.rank for r in found] == [1, 2, 3, 4, 5, 6]
    done = ask(
        *("--push-dir", push_dir, "--clip-id", "v_Rise_g02_c01", "--class", "Fall", "-k", "2"),
        *("--min-score", str(found[1].score), "--format", "csv"),
        script=QUICK,
    )
    header, *rows = csv.reader(done.stdout.splitlines())
    assert header == ["query", "version", "rank", "clip_id", "class_name", "score"]
    assert [(row[0], row[1]) for row in rows] == [("v_Rise_g02_c01", "1")] * 2
    assert [(row[3], float(row[5])) for row in rows] == of_class[:2]
    assert version.recommend("v_Rise_g02_c01", min_score=1.0) == []


def test_own_group_is_left_out(push_dir, tmp_path):
    """Clips of the query's source video are left out if asked, or if the table did so."""
    shutil.copytree(push_dir, tmp_path / "out")
    path = tmp_path / "out" / "1" / "embeddings.parquet"
    table = pq.read_table(path)
    groups = ["one"] * 6 + [""] * 6
    pq.write_table(table.set_column(2, "group", pa.array(groups)), path)
    version = published.open_published(tmp_path / "out")
    ids = table["clip_id"].to_pylist()
    found = version.recommend(ids[0], 20, exclude_group=True)
    assert {r.clip_id for r in found} == set(ids[6:])
    # Clips without a group are each for itself.
    assert len(version.recommend(ids[7], 20, exclude_group=True)) == 11
    assert len(version.recommend(ids[0], 20, exclude_group=False)) == 11
    assert len(version.recommend(ids[0], 20, min_score=-1.0)) == 11
    version.manifest.config["exclude_group"] = True
    assert len(version.recommend(ids[0], 20, min_score=-1.0)) == 6


def test_versions_are_shown_checked_and_gone_back_to(tmp_path):
    """The list says which one is live; the check names what is damaged; rollback goes back."""
    out = tmp_path / "out"
    for seed in (1, 2):
        publish_next(out, **make_inputs(tmp_path / str(seed), seed=seed))
    shown = ask("--push-dir", out, "--list-versions", script=QUICK)
    rows = [line.split() for line in shown.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["1", "2"]
    assert ["live" in row for row in rows] == [False, True]
    assert rows[1][-1] == "model2" and "0.250" in rows[1]
    back = ask("--push-dir", out, "--rollback", script=QUICK)
    assert back.stdout == f"Version 1 is live in {out}\n"
    answer = ask("--push-dir", out, "--clip-id", "v_Rise_g02_c01", "--format", "jsonl")
    assert json.loads(answer.stdout)["version"] == 1
    older = ask(
        *("--push-dir", out, "--version", "2", "--clip-id", "v_Rise_g02_c01", "--format", "jsonl")
    )
    assert json.loads(older.stdout)["version"] == 2
    none = ask("--push-dir", out, "--rollback")
    assert none.returncode == 2 and "1 was the first to be live" in none.stderr
    assert ask("--push-dir", out, "--rollback", "2").returncode == 0
    assert published.current_version(out) == 2
    whole = ask("--push-dir", out, "--verify", script=QUICK)
    assert whole.returncode == 0 and "Version 2 is whole: 6 files" in whole.stdout
    (out / "1" / "clips.parquet").write_bytes(b"damaged")
    for arguments in (["--verify", "--version", "1"], ["--rollback", "1"]):
        damaged = ask("--push-dir", out, *arguments)
        assert damaged.returncode == 2 and "1/clips.parquet: expected {'bytes'" in damaged.stderr
    assert published.current_version(out) == 2


def test_a_broken_version_hides_no_other(tmp_path):
    """It has a row that says what is wrong; a broken CURRENT leaves none marked as live."""
    out = tmp_path / "out"
    for seed in range(4):
        publish_next(out, **make_inputs(tmp_path / str(seed), seed=seed))
    (out / "1" / "manifest.json").write_text('{"format": 1, "vers')
    path = out / "3" / "manifest.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"files": dict.fromkeys(facts["files"])}))
    wrong = [f"{out}/1/manifest.json: expected JSON", f"{out}/3/manifest.json: files: "]
    for current, problem in (
        ("4", ""),
        ("two", f"recommend.py: error: {out}/CURRENT: expected a version's number; got 'two'\n"),
        ("9", f"recommend.py: error: {out}: CURRENT names version 9, which is not there\n"),
    ):
        (out / "CURRENT").write_text(current)
        shown = ask("--push-dir", out, "--list-versions", script=QUICK)
        assert (shown.returncode, shown.stderr) == (2, problem)
        rows = [line.split() for line in shown.stdout.splitlines() if line.strip()[:1].isdigit()]
        assert [row[0] for row in rows] == ["1", "2", "3", "4"]
        assert ["live" in row for row in rows] == [False, False, False, current == "4"]
        assert [row[-1] for row in rows[1::2]] == ["model1", "model3"]
        for row, reason in zip(rows[0::2], wrong, strict=True):
            assert f"cannot be read: {reason}" in " ".join(row)


def test_a_version_that_goes_meanwhile_has_no_row(push_dir, monkeypatch, capsys):
    """One that is deleted after it was listed is passed over."""
    monkeypatch.setattr(published, "list_versions", lambda push_dir: [1, 7])
    assert answers.show_versions(str(push_dir))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[3:-1]] == ["1"]


def test_more_than_there_are(push_dir):
    """All that are known, and a word that there are no more."""
    done = ask(
        "--push-dir", push_dir, "--clip-id", "v_Rise_g02_c01", "-k", "50", "--format", "jsonl"
    )
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["neighbors"]) == 3
    assert done.stderr == "-k: version 1 has no more than 3\n"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--clip-id", "v_Ries_g02_c01"], ["v_Ries_g02_c01", "did you mean", "v_Rise_g02_c01"]),
        (["--clip-id", "v_Rise_g02_c01", "-k", "0"], ["-k", "1 or more", "0"]),
        (["--clip-id", "v_Rise_g02_c01", "--class", "Ries"], ["--class: ", "did you mean Rise"]),
        (["--clip-id", "v_Rise_g02_c01", "--min-score", "2"], ["--min-score", "-1 to 1", "2"]),
        (["--clip-id", "x", "--version", "7"], ["--version: there is no version 7", "has 1"]),
        (["--clip-id", "x", "--version", "0"], ["--version: expected a version's number; got 0"]),
        (["--clip-id", "x"], ["error: --clip-id: version 1 has no 'x'"]),
        (["--rollback", "--version", "1"], ["--version: expected --clip-id, --video or --verify"]),
        (["--list-versions", "--version", "1"], ["--version: expected --clip-id"]),
        (["--rollback"], ["--rollback: expected one to go back to; 1 was the first", "has 1"]),
        (["--rollback", "0"], ["--rollback: expected a version's number; got 0"]),
        (["--video", ""], ["--video: expected a file or folder; got ''"]),
        (["--push-dir", "", "--list-versions"], ["--push-dir: expected a folder", "got ''"]),
        (["--video", "README.md", "--exclude-group"], ["--exclude-group", "--clip-id"]),
        (["--video", "docs"], ["--video", "expected videos in docs"]),
        (["--rollback", "9"], ["--rollback: there is no version 9"]),
        (["--push-dir", "/nowhere", "--list-versions"], ["--push-dir: ", "none in /nowhere"]),
        (["--push-dir", "/nowhere", "--clip-id", "x"], ["none in /nowhere"]),
        (["--push-dir", "README.md", "--clip-id", "x"], ["README.md", "cannot be read"]),
        (["--video", "/nowhere.avi"], ["--video", "/nowhere.avi"]),
        (["--video", "README.md"], ["video", "text file"]),
        ([], ["--clip-id", "--video"]),
    ],
)
def test_bad_input(arguments, parts, push_dir):
    """Exit code 2 and one line that says what is wrong."""
    done = ask("--push-dir", push_dir, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    library = sample_library.make_library(
        folder / "lib.zip", classes=("Rise",), clips_per_group={1: 1}, num_frames=(12, 12)
    )
    subprocess.run([sys.executable, "-m", "zipfile", "-e", library, folder], check=True)
    return next(folder.rglob("*.avi"))


def test_embeds_a_new_video(push_dir, video):
    """A file is decoded and embedded with the published model, and ranked by exact cosine."""
    from components.clip_example_gen import clips

    done = ask("--push-dir", push_dir, "--video", video, "-k", "4", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    frames = clips.decode(str(video), num_frames=3, frame_step=2, image_size=32).frames
    colors = frames.astype(np.float64).mean(axis=(1, 2)).ravel()[:8]
    expected = published.open_published(push_dir).nearest(colors, 4)
    found = json.loads(done.stdout)["neighbors"]
    assert [row["clip_id"] for row in found] == [r.clip_id for r in expected]
    np.testing.assert_allclose(
        [row["score"] for row in found], [r.score for r in expected], atol=1e-2
    )  # what JPEG costs


def test_several_videos_and_folders(push_dir, video, tmp_path):
    """Each video is a query, also below a folder; one that is bad does not stop the others."""
    for name in ("b.avi", "deeper/a.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(video, tmp_path / name)
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / "c.avi").write_text("no video either")
    (tmp_path / "d.avi").mkdir()
    for hidden in ("._b.avi", ".trash/b.avi", "__MACOSX/b.avi"):  # as in a pipeline's source
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_text("not for people")
    done = ask("--push-dir", push_dir, "--video", tmp_path, video, "--format", "jsonl")
    assert done.returncode == 2
    assert f"--video: {tmp_path}/c.avi: video: expected" in done.stderr
    assert done.stderr.count("\n") == 1
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [str(tmp_path / "b.avi"), str(tmp_path / "deeper" / "a.avi"), str(video)]
    assert [answer["query"] for answer in answers] == expected
    assert answers[0]["neighbors"] == answers[1]["neighbors"] == answers[2]["neighbors"]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("model/saved_model.pb", "cut", "saved_model.pb: expected {'bytes'"),
        ("manifest.json", None, "config: expected frame_step"),
    ],
)
def test_versions_that_cannot_embed_are_told(name, content, part, push_dir, video, tmp_path):
    """A model that is not whole, or settings that are missing, end in one line."""
    shutil.copytree(push_dir, tmp_path / "out")
    path = tmp_path / "out" / "1" / name
    path.write_text(content or path.read_text().replace('"frame_step"', '"other"'))
    done = ask("--push-dir", tmp_path / "out", "--video", video)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and part in done.stderr
