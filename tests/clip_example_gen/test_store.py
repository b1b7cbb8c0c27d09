"""The store of decoded clips."""

import pickle
from pathlib import Path

import pytest

from components.clip_example_gen import store as stores
from components.clip_example_gen.store import ClipStore, StoredClip, part_name


def _write(store: ClipStore, clips) -> str:
    """Writes a part; returns its name."""
    return part_name(clip.key for clip in store.write(clips))


def _clip(index: int, size: int = 100) -> StoredClip:
    return StoredClip(
        key=f"key{index}",
        clip_id=f"clip {index:03d}",
        crc32=2**32 - 1 - index,
        num_frames=10 + index,
        fps=25.0,
        duration_sec=0.4,
        look=bytes([index] * 24),
        preview=b"RIFF",
        reason="",
        example=bytes([index]) * size,
    )


BROKEN = StoredClip("broken", "clip x", 7, 0, 0.0, 0.0, b"", b"", "no frame decodes", b"")


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "the store's, é % folder"


def test_parts_come_back_as_they_were(root, monkeypatch):
    """A part holds its clips in order, also over several row groups, and those that are broken."""
    monkeypatch.setattr(stores, "_ROW_GROUP_BYTES", 250)
    written = [*map(_clip, range(8)), BROKEN]
    store = ClipStore(str(root))
    assert list(store.write(iter(written))) == written
    name = part_name(clip.key for clip in written)
    assert list(store.read(name)) == written
    assert [path.name for path in root.iterdir()] == [f"{name}.parquet"]
    assert list(pickle.loads(pickle.dumps(store)).read(name)) == written


def test_index_finds_every_clip_and_keep_forgets(root):
    """The index says which part has a clip; parts that are not kept are gone."""
    store = ClipStore(str(root))
    assert store.index() == {}
    one, two = _write(store, [_clip(1), _clip(2)]), _write(store, [_clip(3), BROKEN])
    assert store.index() == {"key1": one, "key2": one, "key3": two, "broken": two}
    (root / ".left by a killed writer").write_bytes(b"half")
    store.keep({two})
    assert [path.name for path in root.iterdir()] == [f"{two}.parquet"]


def test_failed_writer_leaves_nothing(root):
    """An error amid the clips leaves no part and no temporary file."""

    def clips():
        yield _clip(1)
        raise RuntimeError("the network is gone")

    with pytest.raises(RuntimeError, match="network"):
        list(ClipStore(str(root)).write(clips()))
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 50, 99])
def test_damaged_part_counts_as_absent(root, kept, caplog):
    """A part that was cut off, by a power cut say, is passed over with a word."""
    store = ClipStore(str(root))
    good, bad = _write(store, [_clip(1)]), _write(store, [_clip(2)])
    path = root / f"{bad}.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * kept // 100])
    assert store.index() == {"key1": good}
    assert bad in caplog.text


def test_memory_of_a_reader_is_bounded(root):
    """Row groups are closed at their bound, so that large clips are not held together."""
    store = ClipStore(str(root))
    name = _write(store, (_clip(index, size=6 << 20) for index in range(7)))
    with store._open(name) as file:
        groups = stores.pq.ParquetFile(file).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [3, 3, 1]
