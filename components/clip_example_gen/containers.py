"""Containers: what a video file states of itself, checked before FFmpeg opens it."""

import mmap
import os
import re
import struct

#: More than an hour at 250 frames a second: no clip, but what a header states by mistake.
MAX_FRAMES = 1_000_000

# At the top level. Fragments of a second each, for some hours; what follows is taken as one box.
_MAX_BOXES = 100_000
_QUICKTIME_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
# A table of sample sizes, a fragment's samples, an edit list; ISO/IEC 14496-12.
_TABLES = re.compile(rb"stsz|trun|elst")


class ClipError(ValueError):
    """A file that does not decode to a clip; the message is one line."""


def check_container(path: str | os.PathLike) -> None:
    """Lets AVI, MOV, MP4, Matroska, WebM and bare MPEG pass, by their first bytes.

    FFmpeg goes by the content, too, and knows playlists, which make it open other files. And it
    takes memory for every sample that an MP4 states, of which a few bytes can state any number.

    Args:
      path: of the file.

    Raises:
      ClipError: there is no such file, it is empty, begins otherwise, or states more samples
        than MAX_FRAMES and than it has bytes.
    """
    if not os.path.isfile(path):
        raise ClipError(f"video: expected a file, found none at {os.fspath(path)!r}")
    with open(path, "rb") as file:
        start = file.read(12)
        if not start:
            raise ClipError("video: expected a clip, got an empty file")
        if start[4:8] in _QUICKTIME_BOXES:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _check_samples(data)
            return
    avi = start[:4] == b"RIFF" and start[8:12] in (b"AVI ", b"AVI\x19")
    matroska = start[:4] == b"\x1aE\xdf\xa3"
    mpeg = start[:3] == b"\0\0\1"  # a start code: it is found in files named .mp4, too
    if not (avi or matroska or mpeg):
        text = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)
        got = "a text file" if text else "another file"
        raise ClipError(f"video: expected AVI, MOV, MP4, Matroska, WebM or MPEG, got {got}")


def _check_samples(data: mmap.mmap) -> None:
    """Counts the samples of an MP4, as often as an edit list may repeat them."""
    samples = edits = 0
    for start, end in _boxes(data):
        for table in _TABLES.finditer(data, start, end):
            fields = data[table.end() : table.end() + 12].ljust(12, b"\0")
            _, second, third = struct.unpack(">3I", fields)  # the first: version and flags
            if table.group() == b"stsz":
                samples += third  # the second: the size of all samples, where it is one
            elif table.group() == b"trun":
                samples += second
            else:
                edits += second
    samples *= max(1, edits)
    if samples > max(MAX_FRAMES, len(data)):
        raise ClipError(f"video: expected at most {MAX_FRAMES} samples, got {samples}")


def _boxes(data: mmap.mmap) -> list[tuple[int, int]]:
    """Returns where the top-level boxes lie, but for the media data, which holds no tables."""
    boxes: list[tuple[int, int]] = []
    start = 0
    for _ in range(_MAX_BOXES):
        if start + 8 > len(data):
            return boxes
        size, kind = struct.unpack_from(">I4s", data, start)
        if size == 1 and start + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, start + 8)
        # 0 stands for all the rest; other sizes below 8 are wrong, and nothing says what follows.
        end = min(start + size, len(data)) if size >= 8 else len(data)
        if kind != b"mdat":
            boxes.append((start, end))
        start = end
    return [*boxes, (start, len(data))]
