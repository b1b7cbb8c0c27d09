"""Executor of ClipExampleGen: lists the source, shares the work out through Beam, reports."""

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.metrics import Metrics
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components import features, progress, published
from components.clip_example_gen import archive, shards, splits

REJECTS_FILE = "rejects.parquet"
CLIPS_PER_SHARD = 32
#: More rejected clips than this share of all stop the run.
MAX_REJECTED_SHARE = 0.01

_CLIPS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("class_name", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("member", pa.string()),
        ("size", pa.int64()),
        ("crc32", pa.uint32()),
        ("num_frames", pa.int64()),
        ("fps", pa.float64()),
        ("duration_sec", pa.float64()),
    ]
)
_REJECTS_SCHEMA = pa.schema([(name, pa.string()) for name in shards.Reject._fields])


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes Examples, clips.parquet and rejects.parquet."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the ingestion; parameters are those of `ClipExampleGenSpec`.

        Raises:
          ValueError: the source cannot be read, classes or splits cannot be had of it, or too
            many clips are rejected.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        source = exec_properties["source"]
        with archive.open_source(source) as opened:
            listed = opened.clips()
        assigned = splits.assign_splits(
            splits.select_classes(listed, json.loads(exec_properties["classes"])),
            split=exec_properties["split"],
            clips_per_class=json.loads(exec_properties["clips_per_class"]),
            seed=int(exec_properties["seed"]),
        )
        planned = shards.plan_shards(assigned, root=examples.uri, clips_per_shard=CLIPS_PER_SHARD)
        sampling = shards.Sampling(
            *(int(exec_properties[name]) for name in shards.Sampling._fields)
        )
        self._make_shards(planned, source, sampling, examples.uri)
        _check_rejects(examples.uri)
        examples.split_names = artifact_utils.encode_split_names(list(assigned))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples.set_string_custom_property("input_fingerprint", archive.fingerprint(listed))

    def _make_shards(
        self,
        planned: Sequence[shards.Shard],
        source: str,
        sampling: shards.Sampling,
        root: str,
    ) -> None:
        temp_dir = f"{root}/temporary"
        total = sum(len(shard.refs) for shard in planned)
        try:
            with self._make_beam_pipeline() as pipeline:
                _ = (
                    pipeline
                    # A shard names its clips and holds none. Any: pickled, with no row schema.
                    | "CreateShards" >> beam.Create(planned).with_output_types(Any)
                    | "SpreadShards" >> beam.Reshuffle()
                    | "MakeShard" >> beam.ParDo(_MakeShard(source, sampling, temp_dir, root, total))
                    | "CollectResults" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
                    | "WriteTables" >> beam.Map(_write_tables, root)
                )
        finally:
            progress.counts.forget(root)
            if fileio.exists(temp_dir):
                fileio.rmtree(temp_dir)


@beam.typehints.with_output_types(Any)
class _MakeShard(beam.DoFn):
    """Makes shards; each instance holds its own connection to the source."""

    def __init__(
        self, source: str, sampling: shards.Sampling, temp_dir: str, run: str, total: int
    ) -> None:
        self._source_name = source
        self._source: archive.Source | None = None
        self._sampling = sampling
        self._temp_dir = temp_dir
        self._run = run
        self._total = total
        self._counters = {
            name: Metrics.counter("clip_example_gen", name)
            for name in ("clips", "rejects", "decoded_frames", "fetched_bytes")
        }

    def setup(self) -> None:
        self._source = archive.open_source(self._source_name)

    def process(self, shard: shards.Shard) -> Iterator[shards.ShardResult]:
        result = shards.make_shard(
            shard,
            self._source,
            self._sampling,
            temp_dir=self._temp_dir,
            on_clip=lambda: progress.counts.add(self._run, "clips", 1, self._total),
        )
        self._counters["clips"].inc(len(result.rows))
        self._counters["rejects"].inc(len(result.rejects))
        self._counters["decoded_frames"].inc(result.decoded_frames)
        self._counters["fetched_bytes"].inc(result.fetched_bytes)
        yield result

    def teardown(self) -> None:
        if self._source is not None:
            self._source.close()


def _write_tables(results: Sequence[shards.ShardResult], root: str) -> None:
    """Writes the rows of all shards as two Parquet files, sorted by clip_id."""
    rows = [row for result in results for row in result.rows]
    rejects = [reject for result in results for reject in result.rejects]
    _write_table(f"{root}/{published.CLIPS_FILE}", rows, _CLIPS_SCHEMA)
    _write_table(f"{root}/{REJECTS_FILE}", rejects, _REJECTS_SCHEMA)


def _write_table(path: str, rows: Sequence[NamedTuple], schema: pa.Schema) -> None:
    table = pa.Table.from_pylist([row._asdict() for row in sorted(rows)], schema=schema)
    buffer = io.BytesIO()  # pyarrow asks more of a file than TFX's files offer
    pq.write_table(table, buffer)
    with fileio.open(path, "wb") as file:
        file.write(buffer.getvalue())


def _read_table(path: str) -> list[dict[str, Any]]:
    with fileio.open(path, "rb") as file:
        return pq.read_table(io.BytesIO(file.read())).to_pylist()


def _check_rejects(root: str) -> None:
    """Raises ValueError where too many clips were rejected, or all of a split."""
    rejects = _read_table(f"{root}/{REJECTS_FILE}")
    per_split = Counter(row["split"] for row in _read_table(f"{root}/{published.CLIPS_FILE}"))
    total = len(rejects) + per_split.total()
    if len(rejects) > MAX_REJECTED_SHARE * total:
        reasons = "; ".join(f"{r['clip_id']} ({r['stage']}): {r['reason']}" for r in rejects[:20])
        more = f"; and {len(rejects) - 20} more, see {root}/{REJECTS_FILE}"
        raise ValueError(
            f"source: {len(rejects)} of {total} clips cannot be used, expected at most "
            f"{MAX_REJECTED_SHARE:.0%}: {reasons}{more if len(rejects) > 20 else ''}"
        )
    if empty := [name for name in features.SPLITS if not per_split[name]]:
        raise ValueError(f"source: no usable clip is left for {', '.join(empty)}")
