"""From the files of a source to clips: each one's id, class and group."""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import NamedTuple

from components.clip_example_gen.archive import Entry, SourceError

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mov", ".mkv", ".webm"})
#: A larger file is no clip.
MAX_CLIP_BYTES = 2 << 30
#: Video hardly compresses. What shrinks more than this, and is not small, is a zip bomb.
_MAX_COMPRESSION = 200
_SMALL_BYTES = 16 << 20

_UCF101_STEM = re.compile(r"v_(?P<name>.+)_g(?P<group>\d+)_c\d+")
# The one class of UCF101 whose folder and file names differ.
_UCF101_SPELLINGS = {"HandStandPushups": "HandstandPushups"}


class ClipRef(NamedTuple):
    """One clip of a source, without its pixels.

    Attributes:
      clip_id: unique in the source: v_Archery_g09_c03, or the member without its suffix.
      class_name: e.g. Archery; "" for an unlabeled clip.
      group: the video that the clip was cut from, e.g. Archery_g09.
      member, size, crc32, modified_ns, compressed_size: as in `Entry`.
    """

    clip_id: str
    class_name: str
    group: str
    member: str
    size: int
    crc32: int | None = None
    modified_ns: int | None = None
    compressed_size: int | None = None

    @property
    def entry(self) -> Entry:
        """What the source knows of the file."""
        return Entry(self.member, self.size, self.crc32, self.modified_ns, self.compressed_size)

    def key(self) -> str:
        """Returns a digest of all that the clip's Example depends on, pixels by their checksum.

        A folder knows no checksum; there the time of change stands for it.
        """
        name = [self.clip_id, self.class_name, self.group]
        facts = [*name, self.size, self.crc32, self.modified_ns]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


class Reject(NamedTuple):
    """A clip that is left out, the stage that failed (list, fetch or decode) and why.

    `clip_id` is "" where the listing found that the file cannot be a clip.
    """

    clip_id: str
    member: str
    stage: str
    reason: str


class Listing(NamedTuple):
    """What a source holds.

    Attributes:
      refs: the clips, sorted by `clip_id`.
      rejects: files that look like clips and cannot be any, sorted.
    """

    refs: tuple[ClipRef, ...]
    rejects: tuple[Reject, ...]


def list_clips(source: str, entries: Iterable[Entry]) -> Listing:
    """Names the clips among `entries`.

    Hidden files and other files than videos are passed over. A clip named as UCF101's has its
    class and group from its name. Any other has its folder as its class, and its own name as
    its group; the folder that holds all the clips is no class, and what lies in it directly is
    unlabeled.

    Args:
      source: for messages.
      entries: every file of the source.

    Raises:
      SourceError: there is no clip.
    """
    videos = [entry for entry in entries if is_video(entry.member)]
    # Of a name that is there twice the last is taken, as any unzip does.
    last = {entry.member: index for index, entry in enumerate(videos)}
    rejects: list[Reject] = []
    usable: list[Entry] = []
    for index, entry in enumerate(videos):
        if objection := _objection(entry, is_last=last[entry.member] == index):
            rejects.append(_reject(entry, objection))
        else:
            usable.append(entry)
    refs: dict[str, ClipRef] = {}
    common = _common_folder([entry.member for entry in usable])
    for entry in sorted(usable):
        clip_id, class_name, group = _name(entry.member, common)
        ref = ClipRef(clip_id, class_name, group, **entry._asdict())
        if (other := refs.setdefault(ref.clip_id, ref)) is not ref:
            rejects.append(_reject(entry, f"{other.member} has the same id, {ref.clip_id}"))
    if not refs:
        found = f"; {rejects[0].member}: {rejects[0].reason}" if rejects else ""
        raise SourceError(
            f"source: no clips in {source!r}{found}; expected <class>/<name> with one of "
            f"{', '.join(sorted(VIDEO_SUFFIXES))}"
        )
    return Listing(tuple(refs[clip_id] for clip_id in sorted(refs)), tuple(sorted(rejects)))


def fingerprint(refs: Iterable[ClipRef]) -> str:
    """Returns the version of the data as sha256 in hex.

    It changes with any id, class, group, size and CRC32 (a zip) or time of change (a folder),
    and not with the place or the order of the clips.
    """
    return hashlib.sha256(json.dumps(sorted(ref.key() for ref in refs)).encode()).hexdigest()


def is_video(member: str) -> bool:
    """Tells whether a file of a source is taken for a video, by its path in the source."""
    path = PurePosixPath(member)
    hidden = any(
        part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts
    )  # ".." is to be told, not to be passed over
    return path.suffix.lower() in VIDEO_SUFFIXES and not hidden


def _objection(entry: Entry, *, is_last: bool) -> str:
    """Returns why a file cannot be a clip, "" where it can."""
    member, size, packed = entry.member, entry.size, entry.compressed_size
    path = PurePosixPath(member)
    if path.is_absolute() or PureWindowsPath(member).anchor or ".." in path.parts:
        return "its name leads out of the source"
    if "\\" in member or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in member):
        return "its name has a backslash, a control character or bytes that are no UTF-8"
    if not is_last:
        return "the source has this name again; the last one is taken"
    if size > MAX_CLIP_BYTES:
        return f"expected at most {MAX_CLIP_BYTES} bytes, got {size}"
    if packed is not None and size > max(_SMALL_BYTES, _MAX_COMPRESSION * packed):
        return f"expected a video, got {size} bytes packed into {packed}"
    return ""


def _reject(entry: Entry, reason: str) -> Reject:
    shown = entry.member.encode("utf-8", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
    return Reject(clip_id="", member=shown, stage="list", reason=reason)


def _common_folder(members: Sequence[str]) -> str:
    return os.path.commonpath([os.path.dirname(member) for member in members]) if members else ""


def _name(member: str, common_folder: str) -> tuple[str, str, str]:
    """Returns clip id, class and group."""
    path = PurePosixPath(member)
    if match := _UCF101_STEM.fullmatch(path.stem):
        class_name = _UCF101_SPELLINGS.get(match["name"], match["name"])
        return path.stem, class_name, f"{class_name}_g{match['group']}"
    class_name = "" if str(path.parent) in (common_folder, ".") else path.parent.name
    return str(path.with_suffix("")), class_name, path.stem
