"""The command that asks."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import sample_library
from components import published
from components.pusher import publish
from tests.published_library import make_inputs

ROOT = Path(__file__).resolve().parent.parent

QUICK = """
import sys
import recommend
code = recommend.main(sys.argv[1:])
heavy = {"tensorflow", "tfx", "keras", "cv2", "apache_beam"} & set(sys.modules)
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
    tf.saved_model.save(module, inputs["model_dir"], signatures={"embed": module.embed})
    publish.publish(str(folder / "out"), **inputs)
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
    as_json = ask("--push-dir", push_dir, "--clip-id", clip_id, "-k", "2", "--json", script=QUICK)
    answer = json.loads(as_json.stdout)
    assert answer["query"] == clip_id and answer["version"] == 1
    assert answer["neighbors"] == [dict(r._asdict()) for r in expected[:2]]


def test_more_than_there_are(push_dir):
    """All that are known, and a word that there are no more."""
    done = ask("--push-dir", push_dir, "--clip-id", "v_Rise_g02_c01", "-k", "50", "--json")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["neighbors"]) == 3
    assert done.stderr == "-k: version 1 has no more than 3\n"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--clip-id", "v_Ries_g02_c01"], ["v_Ries_g02_c01", "did you mean", "v_Rise_g02_c01"]),
        (["--clip-id", "v_Rise_g02_c01", "-k", "0"], ["-k", "1 or more", "0"]),
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

    done = ask("--push-dir", push_dir, "--video", video, "-k", "4", "--json")
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
