"""Publishes one version: staged, asked, installed, then made live by one step."""

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from components import published
from components.pusher import checks

#: Rows of the neighbor table that are read together: asking for a clip reads few of them.
_ROWS_PER_GROUP = 100_000


class Facts(NamedTuple):
    """What the run knows of a version: fields of `published.Manifest`."""

    model_id: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    data_fingerprint: str
    run_fingerprint: str


class Parts(NamedTuple):
    """What a version is made of.

    Attributes:
      model_dir: a SavedModel.
      embeddings_dir, neighbors_dir: Parquet shards; each become one file.
      clips_path: the table of clips.
      statistics: of the training clips, a serialized DatasetFeatureStatisticsList.
    """

    model_dir: str
    embeddings_dir: str
    neighbors_dir: str
    clips_path: str
    statistics: bytes


def publish(
    push_dir: str,
    parts: Parts,
    facts: Facts,
    *,
    live_version: int | None,
    keep_versions: int,
    add_pages: Callable[[published.Published, Path], None] = lambda staged, folder: None,
    ask: Callable[[published.Published], None] = lambda staged: None,
) -> int:
    """Publishes a version, makes it live, and deletes old ones.

    Whenever the writer is killed, readers see the version before or this one. What a killed
    writer left is cleared by the next.

    Args:
      push_dir: where versions are published, a folder or a bucket's URL; made if need be.
      parts: what it is made of.
      facts: for the manifest.
      live_version: the version that the candidate was held against; None for none. Where another
        one is live, a second run has published meanwhile, and this one does not.
      keep_versions: how many are kept, besides the live one, its parent, and those that are being
        read.
      add_pages: writes what people look at into the folder; is given the staged version, whose
        tables can be read already.
      ask: is given the staged version, whole; raises if it does not answer as it should.

    Returns:
      The version's number. Where a killed writer made this very version live and could not say so,
      its number.

    Raises:
      published.ConflictError: another run has published meanwhile.
      published.PublishedError: the tables do not speak of the same clips or are not this model's,
        or the store cannot be read or written.
    """
    store = published.open_store(push_dir)
    with store.writing() as staging:
        if done := _made_live_before(push_dir, facts, live_version):
            return done
        store.check_current(live_version)  # before any work, and once more in the switch
        shutil.copytree(parts.model_dir, staging / published.MODEL_DIR)
        _write_tables(staging, parts, facts.model_id)
        (staging / published.STATISTICS_FILE).write_bytes(parts.statistics)
        version = store.reserve()
        add_pages(_staged(staging, _manifest(staging, version, live_version, facts)), staging)
        manifest = _manifest(staging, version, live_version, facts)
        (staging / published.MANIFEST_FILE).write_bytes(manifest.to_json())
        ask(_staged(staging, manifest))
        store.install(staging, version)
        with published.open_published(push_dir, version) as installed:
            installed.verify()
        store.switch(version, expected=live_version)
        store.prune(keep_versions)
    return version


def _made_live_before(push_dir: str, facts: Facts, parent: int | None) -> int | None:
    """Returns the live version if it is this one: a task that is tried again may have done it."""
    if published.current_version(push_dir) in (None, parent):
        return None
    with published.open_published(push_dir) as live:
        same = (live.manifest.model_id, live.manifest.run_fingerprint, live.manifest.parent) == (
            facts.model_id,
            facts.run_fingerprint,
            parent,
        )
    return live.version if same else None


def _write_tables(staging: Path, parts: Parts, model_id: str) -> None:
    embeddings = _concatenated("embeddings_dir", parts.embeddings_dir).sort_by("clip_id")
    neighbors = _concatenated("neighbors_dir", parts.neighbors_dir)
    neighbors = neighbors.sort_by([("query_id", "ascending"), ("rank", "ascending")])
    clips = pq.read_table(parts.clips_path).sort_by("clip_id")
    checks.check_clips(embeddings, neighbors, clips)
    checks.check_model_id(embeddings, neighbors, model_id)
    checks.check_scores(embeddings, neighbors)
    pq.write_table(embeddings, staging / published.EMBEDDINGS_FILE)
    pq.write_table(clips, staging / published.CLIPS_FILE)
    pq.write_table(neighbors, staging / published.NEIGHBORS_FILE, row_group_size=_ROWS_PER_GROUP)


def _concatenated(argument: str, folder: str) -> pa.Table:
    paths = sorted(Path(folder).glob("*.parquet"))
    if not paths:
        raise published.PublishedError(f"{argument}: expected Parquet shards; none in {folder}")
    return pa.concat_tables([pq.read_table(path) for path in paths])


def _manifest(staging: Path, version: int, parent: int | None, facts: Facts) -> published.Manifest:
    local = published.open_store(staging)
    names = sorted(p.relative_to(staging).as_posix() for p in staging.rglob("*") if p.is_file())
    return published.Manifest(
        format=published.FORMAT,
        version=version,
        parent=parent,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        files={name: published.file_facts(local.blocks(name)) for name in names},
        **facts._asdict(),
    )


def _staged(staging: Path, manifest: published.Manifest) -> published.Published:
    return published.Published(published.open_store(staging.parent), staging.name, manifest)
