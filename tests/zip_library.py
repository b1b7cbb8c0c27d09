"""Zips of bytes that need no decoding, and taking them out of an archive again."""

import io
import random
import zipfile
from pathlib import Path

from components.clip_example_gen.archive import Archive, Fetched

SMALL = {"a/one.avi": random.Random(1).randbytes(50_000), "a/two.avi": b"two" * 20_000}


def zip_bytes(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Returns a zip of `members`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def random_members(count: int, size: int) -> dict[str, bytes]:
    """Returns so many members of `size` to `2 * size` bytes."""
    rng = random.Random(count)
    return {f"a/{i:03d}.avi": rng.randbytes(size + rng.randrange(size)) for i in range(count)}


def take(fetched: Fetched) -> bytes:
    """Returns the bytes, and discards the file."""
    data = Path(fetched.path).read_bytes()
    fetched.discard()
    return data


def take_all(archive: Archive) -> dict[str, bytes]:
    """Fetches every member."""
    return {entry.member: take(archive.fetch(entry)) for entry in archive.entries()}
