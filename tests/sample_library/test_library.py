"""Tests of the sample library as a whole: what lies in the zip, and what its frames give away."""

import logging
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from sample_library import CLIPS_PER_GROUP, MOTIONS, make_library
from sample_library.__main__ import main

TINY = {"classes": ("Rise", "Shake"), "clips_per_group": {1: 1, 21: 2}, "num_frames": (4, 8)}


def read_clip(file: str) -> tuple[np.ndarray, float]:
    """Returns a clip's frames, uint8 [T, H, W, 3], and its frames a second."""
    capture = cv2.VideoCapture(file)
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return np.array(frames), fps


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make_library(tmp_path_factory.mktemp("tiny") / "library.zip", seed=3, **TINY)


def test_default_layout_splits_into_30_10_and_10_clips_by_groups():
    """Ten classes of 50 clips: groups 01-07 hold 10, 08-20 hold 30, 21-25 hold 10, two each."""
    assert len(MOTIONS) == 10
    assert sorted(CLIPS_PER_GROUP) == list(range(1, 26))
    counts = [CLIPS_PER_GROUP[group] for group in range(1, 26)]
    assert Counter(counts[:7]) == {2: 3, 1: 4}
    assert Counter(counts[7:20]) == {2: 9, 3: 4}
    assert counts[20:] == [2] * 5
    assert (sum(counts[:7]), sum(counts[7:20]), sum(counts[20:])) == (10, 30, 10)


def test_members_are_named_as_in_ucf101_and_stored(tiny):
    """The folders and names are UCF101's, and the bytes of a clip lie in the zip as they are."""
    with zipfile.ZipFile(tiny) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.namelist() == [
            f"UCF-101/{name}/v_{name}_g{group}_c{clip}.avi"
            for name in ("Rise", "Shake")
            for group, clip in (("01", "01"), ("21", "01"), ("21", "02"))
        ]


def test_default_members_are_unique_and_readable_as_ucf101_names(tmp_path):
    """Every default group of a class is there with its number of clips, counted from c01."""
    path = make_library(tmp_path / "library.zip", classes=("Fall",), num_frames=(2, 2))
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    matches = [re.fullmatch(r"UCF-101/Fall/v_Fall_g(\d\d)_c(\d\d)\.avi", name) for name in names]
    groups = Counter(int(match[1]) for match in matches)
    assert groups == CLIPS_PER_GROUP
    assert all(int(match[2]) <= groups[int(match[1])] for match in matches)
    assert len(set(names)) == 50


def test_default_clips_are_60_to_120_xvid_frames_of_320x240_at_25_fps(tmp_path):
    """OpenCV decodes every frame, and the lengths differ."""
    path = make_library(
        tmp_path / "library.zip", classes=("Grow", "Bounce"), clips_per_group={1: 2, 8: 2}
    )
    lengths = set()
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            frames, fps = read_clip(archive.extract(member, tmp_path))
            assert frames.shape[1:] == (240, 320, 3)
            assert fps == 25.0
            # OpenCV names the codec in its own way; the file's stream header has the code itself.
            assert archive.read(member)[108:116] == b"vidsXVID"
            lengths.add(len(frames))
    assert min(lengths) >= 60 and max(lengths) <= 120 and len(lengths) > 1


def test_same_seed_gives_the_same_bytes(tiny, tmp_path):
    """The zip is identical byte by byte, whenever and with whatever timing it is made."""
    again = make_library(tmp_path / "library.zip", seed=3, **TINY)
    assert again.read_bytes() == tiny.read_bytes()


def test_another_seed_gives_other_clips(tiny, tmp_path):
    """No clip is the same under another seed."""
    other = make_library(tmp_path / "library.zip", seed=4, **TINY)
    with zipfile.ZipFile(tiny) as first, zipfile.ZipFile(other) as second:
        for member in first.namelist():
            assert first.read(member) != second.read(member)


def test_hard_variant_has_the_same_clips_made_harder(tiny, tmp_path):
    """Names and lengths are the plain variant's, every picture is another; it is reproducible."""
    hard = make_library(tmp_path / "hard.zip", seed=3, hard=True, **TINY)
    again = make_library(tmp_path / "again.zip", seed=3, hard=True, **TINY)
    assert hard.read_bytes() == again.read_bytes()
    with zipfile.ZipFile(tiny) as plain_zip, zipfile.ZipFile(hard) as hard_zip:
        assert hard_zip.namelist() == plain_zip.namelist()
        for member in plain_zip.namelist():
            plain_frames, _ = read_clip(plain_zip.extract(member, tmp_path / "plain"))
            hard_frames, _ = read_clip(hard_zip.extract(member, tmp_path / "hard"))
            assert plain_frames.shape == hard_frames.shape
            differences = np.abs(plain_frames.astype(int) - hard_frames)
            assert differences.mean(axis=(1, 2, 3)).min() > 5


def test_command_line_makes_the_hard_variant(tmp_path, capsys, monkeypatch):
    """`--hard` is what `hard=True` is; the file's name is printed."""
    made = []
    monkeypatch.setattr(
        "sample_library.__main__.make_library",
        lambda path, **options: made.append(options) or make_library(path, **options, **TINY),
    )
    assert main(["--out", str(tmp_path / "hard.zip"), "--seed", "3", "--hard"]) == 0
    assert made == [{"seed": 3, "hard": True}]
    assert capsys.readouterr().out.strip() == str(tmp_path / "hard.zip")


def test_a_clip_does_not_depend_on_the_clips_beside_it(tiny, tmp_path):
    """Leaving out classes, groups and clips leaves the others as they are."""
    part = make_library(
        tmp_path / "library.zip", seed=3, classes=("Shake",), clips_per_group={21: 1},
        num_frames=(4, 8),
    )  # fmt: skip
    with zipfile.ZipFile(tiny) as whole, zipfile.ZipFile(part) as archive:
        (member,) = archive.namelist()
        assert archive.read(member) == whole.read(member)


def test_progress_is_reported_for_every_clip(tmp_path, caplog):
    """The counts run from 1 to the number of clips."""
    with caplog.at_level(logging.INFO, logger="clip_recommender.progress"):
        make_library(tmp_path / "library.zip", **TINY)
    assert [record.progress[:3] for record in caplog.records] == [
        ("clips", done, 6) for done in range(1, 7)
    ]


def test_half_made_library_is_never_visible(tmp_path):
    """Where the making fails, the old zip stays, and nothing else does."""
    path = tmp_path / "library.zip"
    path.write_bytes(b"old")

    class Interrupted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise KeyboardInterrupt

    progress = logging.getLogger("clip_recommender.progress")
    handler, level = Interrupted(), progress.level
    progress.addHandler(handler)
    progress.setLevel(logging.INFO)
    try:
        with pytest.raises(KeyboardInterrupt):
            make_library(path, **TINY)
    finally:
        progress.removeHandler(handler)
        progress.setLevel(level)
    assert [file.name for file in tmp_path.iterdir()] == ["library.zip"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"classes": ("Rise", "Juggle")}, "classes must be names out of .*Rise.* 'Juggle'"),
        ({"classes": ()}, "classes must be names"),
        ({"clips_per_group": {}}, "clips_per_group must map"),
        ({"clips_per_group": {0: 1}}, r"clips_per_group must map .* got \{0: 1\}"),
        ({"clips_per_group": {1: 100}}, "clips_per_group must map"),
        ({"num_frames": (1, 5)}, r"num_frames must be .* got \(1, 5\)"),
        ({"num_frames": (9, 5)}, r"num_frames must be .* got \(9, 5\)"),
    ],
)
def test_arguments_out_of_bounds_are_refused(tmp_path, arguments: Mapping, message: str):
    """The error names the argument and what came, and nothing is written."""
    with pytest.raises(ValueError, match=message):
        make_library(tmp_path / "library.zip", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["--out", "x.zip", "--seed", "-1"]])
def test_command_line_refuses_what_it_cannot_do(arguments, tmp_path, monkeypatch):
    """A missing name and a negative seed end with exit code 2."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert not list(tmp_path.iterdir())
