"""Containers: what passes by its first bytes, and MP4s that state more than they hold."""

import struct
from pathlib import Path

import pytest

from components.clip_example_gen.containers import ClipError, check_container

ID3 = b"ID3\4\0\0\0\0\0\n" + bytes(10)
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n"


def _box(kind: bytes, *content: bytes) -> bytes:
    """Returns a box of ISO/IEC 14496-12, 4.2."""
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def _table(kind: bytes, *numbers: int) -> bytes:
    return _box(kind, struct.pack(f">{len(numbers)}I", *numbers))


def _movie(*tables: bytes) -> bytes:
    return _box(b"ftyp", b"isom", bytes(4)) + _box(b"moov", _box(b"trak", *tables))


def _check(folder: Path, content: bytes) -> None:
    path = folder / "clip.avi"
    path.write_bytes(content)
    check_container(path)


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF\0\0\0\0AVI LIST",
        b"RIFF\0\0\0\0AVI\x19LIST",
        b"\x1aE\xdf\xa3" + bytes(20),
        b"\0\0\1\xb0" + bytes(20),
        *(_box(kind, bytes(4)) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free")),
    ],
)
def test_videos_pass(tmp_path, content):
    """What begins as a known container does is left to the decoder."""
    _check(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        PLAYLIST,
        ID3 + PLAYLIST,
        ID3 + b"ffconcat version 1.0\nfile a.avi\n",
        b"RIFF\0\0\0\0WAVE",
        b"x",
    ],
)
def test_all_else_is_refused(tmp_path, content):
    """Playlists are, also behind the ID3 tag that FFmpeg skips: they name files to open."""
    text = content[:12].isascii() and b"\0" not in content[:12]
    got = "a text file" if text else "another file"
    with pytest.raises(ClipError, match=f"AVI, MOV, MP4, Matroska, WebM or MPEG, got {got}"):
        _check(tmp_path, content)


def test_missing_and_empty_files(tmp_path):
    """They are told apart, and a folder is no file."""
    with pytest.raises(ClipError, match="empty file"):
        _check(tmp_path, b"")
    for path in (tmp_path / "absent.avi", tmp_path, f"{tmp_path}/a\0b.avi"):
        with pytest.raises(ClipError, match="expected a file, found none"):
            check_container(path)


FRAGMENT = _box(b"moof", _box(b"traf", _table(b"trun", 0, 600_000)))


@pytest.mark.parametrize(
    ("content", "samples"),
    [
        (_movie(_table(b"stsz", 0, 1, 2**32 - 1)), 2**32 - 1),
        (_movie(_table(b"stsz", 0, 0, 1_000_001)), 1_000_001),
        (_movie(_table(b"stsz", 0, 1, 2000), _box(b"edts", _table(b"elst", 0, 501))), 1_002_000),
        (_movie() + FRAGMENT + _box(b"mdat", bytes(9)) + FRAGMENT, 1_200_000),
        # Box sizes of 64 bits, of 0 (all the rest), and wrong ones.
        (struct.pack(">I4sQ", 1, b"moov", 99) + _table(b"stsz", 0, 1, 2**31), 2**31),
        (struct.pack(">I4s", 0, b"moov") + _table(b"stsz", 0, 1, 2**31), 2**31),
        (struct.pack(">I4s", 5, b"moov") + _table(b"stsz", 0, 1, 2**31), 2**31),
        (_box(b"free") * 100_001 + _table(b"stsz", 0, 1, 2**31), 2**31),
    ],
)
def test_mp4_that_states_too_many_samples(tmp_path, content, samples):
    """A few bytes that stand for gigabytes of index are refused, with the number."""
    with pytest.raises(ClipError, match=f"at most 1000000 samples, got {samples}"):
        _check(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        _movie(_table(b"stsz", 0, 1, 1_000_000), _box(b"edts", _table(b"elst", 0, 1))),
        _movie(_table(b"stsz", 0, 1, 1000), _box(b"edts", _table(b"elst", 0, 1000))),
        _movie(_table(b"stsz", 0, 1, 1_500_000)) + _box(b"mdat", bytes(1_500_000)),
        _box(b"mdat", b"stsz" + b"\xff" * 12) + _movie(_table(b"stsz", 0, 1, 9)),  # pixels
        _movie() + b"\0\0\1",  # a cut header
        _movie(b"stsz"),  # a cut table
    ],
)
def test_mp4_that_states_what_it_can_hold(tmp_path, content):
    """Up to the bound, up to one sample a byte, and whatever the media data look like."""
    _check(tmp_path, content)
