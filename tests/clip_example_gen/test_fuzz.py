"""Hundreds of damaged clips and zips: the run goes on, within its folders and its memory."""

import io
import itertools
import random
import resource
import struct
import tempfile
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.clip_example_gen import listing
from components.clip_example_gen.archive import MemberError, SourceError, open_archive
from tests.ingestion import files, start

NUM_CLIPS, NUM_ZIPS = 400, 160
#: What one mutated clip or zip may cost beyond what a sound one costs.
MEMORY_MB = 300


def _flip(data: bytes, rng: random.Random, stop: int) -> bytes:
    """Flips 1 to 8 bits among the first `stop` bytes."""
    mutated = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        mutated[rng.randrange(min(stop, len(data)))] ^= 1 << rng.randrange(8)
    return bytes(mutated)


def _lie(data: bytes, rng: random.Random, stop: int) -> bytes:
    """Puts an extreme number over four bytes."""
    mutated = bytearray(data)
    place = rng.randrange(min(stop, len(data)) - 4)
    number = rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000, 30_000])
    struct.pack_into("<I", mutated, place, number)
    return bytes(mutated)


def _cut(data: bytes, rng: random.Random, _: int) -> bytes:
    return data[: rng.randrange(len(data))]


def _blank(data: bytes, rng: random.Random, _: int) -> bytes:
    start = rng.randrange(len(data))
    length = rng.randrange(1, 2000)
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def _splice(data: bytes, rng: random.Random, _: int) -> bytes:
    start, other = rng.randrange(len(data)), rng.randrange(len(data))
    return data[:start] + data[other : other + 500] + data[start:]


MUTATIONS = (_flip, _lie, _cut, _blank, _splice)


def _mutate(data: bytes, rng: random.Random, header: int) -> bytes:
    """Damages `data`, every second time within its header alone."""
    return rng.choice(MUTATIONS)(data, rng, rng.choice([header, len(data)]))


def test_run_survives_damaged_clips(tmp_path, make_video):
    """A run over hundreds of mutated clips ends well; each is a clip or a reject, none is lost."""
    rng = random.Random(0)
    originals = [make_video(tmp_path / f"{seed}.avi", seed=seed) for seed in range(4)]
    library = tmp_path / "library"
    for index in range(NUM_CLIPS + 30):
        class_name, group, clip = ("Rise", "Fall")[index % 2], index // 2 % 25 + 1, index // 50 + 1
        path = library / class_name / f"v_{class_name}_g{group:02d}_c{clip:02d}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = originals[index % 4] + bytes(index)
        sound = index < 30
        path.write_bytes(data if sound else _mutate(data, rng, header=2000))
    before = files(library)
    run = start(
        tmp_path / "run" / "out",
        library,
        temp_dir=tmp_path / "temporary",
        clips_per_class=(999, 333, 999),
        max_reject_fraction=1.0,
    )
    run.join()
    assert run.exitcode == 0
    out = tmp_path / "run" / "out"
    rows = pq.read_table(out / "clips.parquet").to_pylist()
    rejects = pq.read_table(out / "rejects.parquet").to_pylist()
    alike = pq.read_table(out / "duplicates.parquet").to_pylist()
    left_out = [row["clip_id"] for row in alike if row["kind"] == "exact"]
    seen = [row["clip_id"] for row in [*rows, *rejects]] + left_out
    assert sorted(seen) == sorted(path.stem for path in library.rglob("*.avi"))
    assert len(rows) > 100 and len(rejects) > 20
    assert all("\n" not in reject["reason"] for reject in rejects)
    assert files(library) == before
    assert list((tmp_path / "temporary").glob("clip-*")) == []
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["out", "peak", "store"]
    peak, at_start = map(int, (tmp_path / "run" / "peak").read_text().split())
    assert peak - at_start < MEMORY_MB


@pytest.fixture(scope="module")
def sound_zips(tmp_path_factory, make_video) -> list[bytes]:
    """A stored and a deflated zip of six clips."""
    folder = tmp_path_factory.mktemp("clips")
    clips = {f"UCF-101/{i % 2}/{i}.avi": make_video(folder / f"{i}.avi", seed=i) for i in range(6)}
    zips = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, data in clips.items():
                archive.writestr(zipfile.ZipInfo(name), data, compression)
        zips.append(buffer.getvalue())
    return zips


def _hostile_zips() -> list[bytes]:
    """Names that lead out, names that come twice, bombs, and members within one another."""
    names = ["../../x.avi", "/x.avi", "a/../../x.avi", "C:\\x.avi", "a\\..\\x.avi", "a/\n.avi"]
    contents = [{name: b"x" * 50, "a/ok.avi": b"y" * 60, "b/ok.avi": b"z"} for name in names]
    contents.append({"a/bomb.avi": bytes(200 << 20), "a/ok.avi": b"y" * 60})
    zips = []
    for members in contents:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in itertools.chain(members.items(), [("a/ok.avi", b"again" * 20)]):
                archive.writestr(name, data)
        zips.append(buffer.getvalue())
    return zips


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_damaged_zips_are_told(tmp_path, monkeypatch, sound_zips):
    """Of a mutated zip every file comes whole, or is named with what is wrong; nothing else is."""
    rng = random.Random(1)
    directory = [data.rindex(b"PK\5\6") - data.index(b"PK\1\2") + 22 for data in sound_zips]
    mutated = [
        _mutate(data[::-1], rng, header)[::-1]  # a zip's header is its end
        for data, header, _ in zip(
            itertools.cycle(sound_zips), itertools.cycle(directory), range(NUM_ZIPS), strict=False
        )
    ]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    outcomes = {"whole": 0, "member": 0, "source": 0}
    start_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    for index, data in enumerate([*mutated, *_hostile_zips()]):
        path = tmp_path / f"{index}.zip"
        path.write_bytes(data)
        try:
            with open_archive(str(path)) as archive:
                for ref in listing.list_clips(str(path), archive.entries()).refs:
                    _fetch(archive, ref, outcomes)
        except SourceError as error:
            assert "\n" not in str(error)
            outcomes["source"] += 1
        path.unlink()
    assert min(outcomes.values()) > 10
    assert list(tmp_path.iterdir()) == [temporary]
    assert list(temporary.iterdir()) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 - start_mb < MEMORY_MB


def _fetch(archive, ref: listing.ClipRef, outcomes: dict[str, int]) -> None:
    try:
        fetched = archive.fetch(ref.entry)
    except MemberError as error:
        assert "\n" not in str(error)
        outcomes["member"] += 1
    else:
        assert Path(fetched.path).stat().st_size == ref.size
        assert fetched.crc32 == ref.crc32
        fetched.discard()
        outcomes["whole"] += 1
