"""Executor of ClipExampleGen: lists the source, shares the work out through Beam, reports."""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components import features, progress, published
from components.clip_example_gen import archive, clips, duplicates, fetching, selection, shards
from components.clip_example_gen.duplicates import Duplicate
from components.clip_example_gen.listing import Reject
from components.clip_example_gen.sampling import Sampling
from components.clip_example_gen.shards import ClipRow
from components.clip_example_gen.store import ClipStore, part_name
from components.clip_example_gen.tables import (
    DUPLICATES_FILE,
    REJECTS_FILE,
    read_table,
    write_table,
)

CLIPS_PER_SHARD = 32
# A shard names its clips and holds none. Any: pickled, with no row schema.
_Keyed = beam.typehints.Tuple[int, Any]
#: So many rejected clips are named in an error.
_SHOWN_REJECTS = 20


class _Ingestion(NamedTuple):
    """What every worker needs to know; it carries no connection and no pixels."""

    source: str
    open_archive: Callable[[], archive.Archive]
    connection: Shared  # of the workers in one process
    fetch_workers: int
    sampling: Sampling
    store: ClipStore
    root: str

    @property
    def temp_dir(self) -> str:
        return f"{self.root}/temporary"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes Examples, clips.parquet, rejects.parquet, duplicates.parquet and the previews."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the ingestion; parameters are those of `ClipExampleGenSpec`.

        Raises:
          ValueError: the source cannot be read or does not answer, classes or splits cannot be
            had of it, or too many clips are rejected.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        ingestion = _ingestion(exec_properties, examples.uri, self._beam_pipeline_args or [])
        with ingestion.connection.acquire(ingestion.open_archive) as opened:
            selected = selection.select(
                opened,
                classes=json.loads(exec_properties["classes"]),
                split=exec_properties["split"],
                split_fractions=json.loads(exec_properties["split_fractions"]),
                clips_per_class=json.loads(exec_properties["clips_per_class"]),
                seed=int(exec_properties["seed"]),
            )
            self._ingest(ingestion, selected, float(exec_properties["max_reject_fraction"]))
        examples.split_names = artifact_utils.encode_split_names(list(selected.assigned))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples.set_string_custom_property("input_fingerprint", selected.data_version)

    def _ingest(
        self, ingestion: _Ingestion, selected: selection.Selection, max_reject_fraction: float
    ) -> None:
        total = sum(map(len, selected.assigned.values()))
        _check_rejects(selected.rejects, total, max_reject_fraction, ingestion.root)
        stored = ingestion.store.index()
        planned = shards.plan_shards(
            selected.assigned,
            root=ingestion.root,
            clips_per_shard=CLIPS_PER_SHARD,
            stored=stored,
        )
        try:
            with self._make_beam_pipeline() as pipeline:
                _ = (
                    pipeline
                    | "CreateShards" >> beam.Create(_deal(planned)).with_output_types(_Keyed)
                    # Each shard by itself: spreads them, and keeps their order here.
                    | "SpreadShards" >> beam.GroupByKey()
                    | "UnpackShards" >> beam.FlatMapTuple(lambda _, found: found)
                    | "MakeShard" >> beam.ParDo(_MakeShard(ingestion, total))
                    | "CollectResults"
                    >> beam.CombineGlobally(beam.combiners.ToListCombineFn()).without_defaults()
                    | "WriteTables"
                    >> beam.Map(
                        _write_tables, ingestion.root, selected.rejects, selected.duplicates
                    )
                )
        finally:
            progress.counts.forget(ingestion.root)
            if fileio.exists(ingestion.temp_dir):
                fileio.rmtree(ingestion.temp_dir)
        rejects = read_table(f"{ingestion.root}/{REJECTS_FILE}", Reject)
        _prune(ingestion.store, planned, rejects, stored, selected.keys)
        _check_rejects(rejects, total, max_reject_fraction, ingestion.root)
        _check_splits(read_table(f"{ingestion.root}/{published.CLIPS_FILE}", ClipRow))


def _deal(planned: Sequence[shards.Shard]) -> list[tuple[int, shards.Shard]]:
    """Returns the shards with most to do first: dealt out in turn, workers get alike shares."""
    return list(enumerate(sorted(planned, key=lambda shard: -len(shard.missing))))


def _ingestion(properties: dict[str, Any], root: str, beam_args: Sequence[str]) -> _Ingestion:
    sampling = Sampling(*(int(properties[name]) for name in Sampling._fields))
    # What is decoded otherwise is kept elsewhere.
    recipe = json.dumps([*sampling, properties["decode_version"], clips.OPENCV_VERSION])
    store_dir = properties["store_dir"]
    return _Ingestion(
        source=properties["source"],
        open_archive=functools.partial(
            archive.open_archive,
            properties["source"],
            timeout_sec=float(properties["fetch_timeout"]),
            download_dir=archive.download_dir(store_dir),
            beam_args=tuple(beam_args),
        ),
        connection=Shared(),
        fetch_workers=int(properties["fetch_workers"]),
        sampling=sampling,
        store=ClipStore(f"{store_dir}/{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"),
        root=root,
    )


@beam.typehints.with_output_types(Any)
class _MakeShard(beam.DoFn):
    """Makes shards; the instances in a process share one listing of the source."""

    def __init__(self, ingestion: _Ingestion, total: int) -> None:
        self._ingestion = ingestion
        self._total = total
        self._fetcher: fetching.Fetcher | None = None

    def setup(self) -> None:
        opened = self._ingestion.connection.acquire(self._ingestion.open_archive)
        self._fetcher = fetching.Fetcher(opened, self._ingestion.fetch_workers)

    def process(self, shard: shards.Shard) -> Iterator[shards.ShardResult]:
        result = shards.make_shard(
            shard,
            self._fetcher,
            self._ingestion.store,
            self._ingestion.sampling,
            source=self._ingestion.source,
            temp_dir=self._ingestion.temp_dir,
            on_clip=lambda: progress.counts.add(self._ingestion.root, "clips", 1, self._total),
        )
        counts = {"clips": len(result.rows), "rejects": len(result.rejects), **result.counts}
        for name, count in counts.items():
            Metrics.counter("clip_example_gen", name).inc(count)
        yield result

    def teardown(self) -> None:
        if self._fetcher is not None:
            self._fetcher.close()


def _write_tables(
    results: Sequence[shards.ShardResult],
    root: str,
    listed_rejects: Sequence[Reject],
    exact: Sequence[Duplicate],
) -> None:
    """Writes the tables of all shards."""
    rows = [row for result in results for row in result.rows]
    rejects = [reject for result in results for reject in result.rejects]
    looks = b"".join(look for result in results for look in result.looks)
    near = duplicates.near(
        [row.clip_id for row in rows],
        [row.split for row in rows],
        np.frombuffer(looks, np.uint8).reshape(-1, duplicates.HASH_BYTES),
    )
    write_table(f"{root}/{published.CLIPS_FILE}", ClipRow, rows)
    write_table(f"{root}/{REJECTS_FILE}", Reject, [*listed_rejects, *rejects])
    write_table(f"{root}/{DUPLICATES_FILE}", Duplicate, [*exact, *near])


def _prune(
    store: ClipStore,
    planned: Sequence[shards.Shard],
    rejects: Sequence[Reject],
    stored: dict[str, str],
    listed: frozenset[str],
) -> None:
    """Takes out of the store what this run's shards replace and what the source no longer has."""
    not_fetched = {reject.clip_id for reject in rejects if reject.stage == "fetch"}
    held = [
        [ref.key() for ref in shard.refs if ref.clip_id not in not_fetched] for shard in planned
    ]
    elsewhere = listed.difference(*held)
    store.keep(
        {part_name(keys) for keys in held} | {stored[key] for key in elsewhere & set(stored)}
    )


def _check_rejects(
    rejects: Sequence[Reject], clips_taken: int, max_fraction: float, root: str
) -> None:
    """Raises ValueError where too many clips were rejected; all of them are then in the table."""
    if len(rejects) <= max_fraction * clips_taken:
        return
    path = f"{root}/{REJECTS_FILE}"
    write_table(path, Reject, rejects)
    shown = "; ".join(
        f"{reject.clip_id or reject.member} ({reject.stage}): {reject.reason}"
        for reject in rejects[:_SHOWN_REJECTS]
    )
    more = len(rejects) - _SHOWN_REJECTS
    raise ValueError(
        f"source: {len(rejects)} of {clips_taken} clips cannot be used, expected at most "
        f"max_reject_fraction {max_fraction:g}: {shown}"
        + (f"; and {more} more" if more > 0 else "")
        + f"; see {path}"
    )


def _check_splits(rows: Sequence[ClipRow]) -> None:
    per_split = Counter(row.split for row in rows)
    if empty := [name for name in features.SPLITS if not per_split[name]]:
        raise ValueError(f"source: no usable clip is left for {', '.join(empty)}")
