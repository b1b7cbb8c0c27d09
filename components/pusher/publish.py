"""Publishes one version: staged, renamed, then made live, so that no reader sees a part of it."""

import dataclasses
import datetime
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import pyarrow as pa
import pyarrow.parquet as pq

from components import published

_STAGING = ".staging-"
_NEXT_CURRENT = f".{published.CURRENT_FILE}-"
_LOCK_FILE = ".lock"
#: How long a writer waits for another, in seconds; publishing takes less.
_LOCK_TIMEOUT = 600


class PublishError(RuntimeError):
    """Nothing was published."""


class Facts(NamedTuple):
    """What the run knows of a version: fields of `published.Manifest`."""

    model_id: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    data_fingerprint: str
    run_fingerprint: str


def publish(
    push_dir: str,
    *,
    model_dir: str,
    embeddings_dir: str,
    neighbors_path: str,
    clips_path: str,
    facts: Facts,
    statistics: bytes | None = None,
) -> int:
    """Publishes a version and makes it live.

    Whenever the writer is killed, readers see the version before or this one. What a killed
    writer left is cleared by the next.

    Args:
      push_dir: where versions are published; made if need be.
      model_dir: a SavedModel.
      embeddings_dir: Parquet shards of embeddings; they become one file.
      neighbors_path: the neighbor table.
      clips_path: the table of clips.
      facts: for the manifest.
      statistics: of the training clips, a serialized DatasetFeatureStatisticsList; None where
        they are not known.

    Returns:
      The version's number.

    Raises:
      PublishError: the tables do not speak of the same clips or are not this model's, or another
        writer is at it.
      published.PublishedError: CURRENT cannot be read.
    """
    root = Path(push_dir)
    root.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(root / _LOCK_FILE, timeout=_LOCK_TIMEOUT):
            _clear_leftovers(root)
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=root))
            staging.chmod(0o755)
            shutil.copytree(model_dir, staging / published.MODEL_DIR)
            _write_tables(staging, Path(embeddings_dir), neighbors_path, clips_path, facts.model_id)
            if statistics is not None:
                (staging / published.STATISTICS_FILE).write_bytes(statistics)
            parent = published.current_version(root)
            version = max([*published.list_versions(root), parent or 0]) + 1
            _write_manifest(staging, version, parent, facts)
            _sync_tree(staging)
            os.rename(staging, root / str(version))
            _sync(root)  # the version must reach the disk before the name that points to it
            _make_live(root, version)
            return version
    except filelock.Timeout as error:
        raise PublishError(f"push_dir: another run is publishing in {push_dir}") from error


def _clear_leftovers(root: Path) -> None:
    """Removes what writers that were killed left behind; call it with the lock held."""
    for leftover in root.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover)
    for leftover in root.glob(f"{_NEXT_CURRENT}*"):
        leftover.unlink()


def _write_tables(
    staging: Path, embeddings_dir: Path, neighbors_path: str, clips_path: str, model_id: str
) -> None:
    paths = sorted(embeddings_dir.glob("*.parquet"))
    if not paths:
        raise PublishError(f"embeddings_dir: expected Parquet shards; none in {embeddings_dir}")
    embeddings = pa.concat_tables([pq.read_table(path) for path in paths]).sort_by("clip_id")
    neighbors = pq.read_table(neighbors_path)
    clips = pq.read_table(clips_path)
    _check_clips(embeddings, neighbors, clips)
    _check_model(embeddings, neighbors, model_id)
    pq.write_table(embeddings, staging / published.EMBEDDINGS_FILE)
    pq.write_table(clips.sort_by("clip_id"), staging / published.CLIPS_FILE)
    shutil.copyfile(neighbors_path, staging / published.NEIGHBORS_FILE)


def _check_clips(embeddings: pa.Table, neighbors: pa.Table, clips: pa.Table) -> None:
    embedded = embeddings["clip_id"].to_pylist()
    known = sorted(clips["clip_id"].to_pylist())
    for name, ids in (("embeddings", embedded), ("clips", known)):
        if twice := next((a for a, b in itertools.pairwise(ids) if a == b), None):
            raise PublishError(f"{name}: expected each clip once; got {twice} again")
    asked = set(neighbors["query_id"].to_pylist())
    answered = set(neighbors["neighbor_id"].to_pylist())
    differing = (asked ^ set(embedded)) | (set(known) ^ set(embedded)) | (answered - set(known))
    if differing:
        raise PublishError(
            "expected the same clips in embeddings, neighbors and clips; "
            f"{len(differing)} differ, {min(differing)} among them"
        )


def _check_model(embeddings: pa.Table, neighbors: pa.Table, model_id: str) -> None:
    of_neighbors = (neighbors.schema.metadata or {}).get(b"model_id", b"").decode()
    for found in {*embeddings["model_id"].to_pylist(), of_neighbors}:
        if found != model_id:
            raise PublishError(
                f"model_id: expected {model_id} in embeddings and neighbors; got {found!r}"
            )


def _write_manifest(staging: Path, version: int, parent: int | None, facts: Facts) -> None:
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    manifest = published.Manifest(
        format=published.FORMAT,
        version=version,
        parent=parent,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        files={path.relative_to(staging).as_posix(): published.file_facts(path) for path in files},
        **facts._asdict(),
    )
    text = json.dumps(dataclasses.asdict(manifest), indent=2)
    (staging / published.MANIFEST_FILE).write_text(text + "\n")


def _make_live(root: Path, version: int) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=_NEXT_CURRENT, dir=root)
    with open(descriptor, "w") as file:
        file.write(f"{version}\n")
        file.flush()
        os.fsync(file.fileno())
    os.chmod(temporary, 0o644)
    os.replace(temporary, root / published.CURRENT_FILE)
    _sync(root)


def _sync_tree(folder: Path) -> None:
    """Brings a folder to the disk, so that a crash after the rename leaves no empty files."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
