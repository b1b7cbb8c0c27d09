"""Embeds through Beam, a shard of Examples in and a Parquet shard out; then finds neighbors."""

import dataclasses
import itertools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.utils import shared
from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import embedder, known_vectors, progress, published
from components.bulk_inferrer import engines, index, neighbors, tables

#: Queries in a shard of the neighbor table.
_QUERIES_PER_SHARD = 1 << 14
_COUNTERS = "bulk_inferrer"


class _Shard(NamedTuple):
    """One shard of Examples and the Parquet file that it becomes."""

    split: str
    examples_path: str
    parquet_path: str


class _Queries(NamedTuple):
    """The places of some rows in the order of the search, and the file of their neighbors."""

    start: int
    stop: int
    parquet_path: str


@dataclasses.dataclass(frozen=True)  # Beam shares what can be referred to weakly
class _Model:
    """What a worker embeds with: the model, and the vectors that it need not compute."""

    embedder: embedder.Embedder
    known: known_vectors.KnownVectors


@dataclasses.dataclass(frozen=True)
class _Searching:
    """What a worker searches with."""

    ids: tuple[str, ...]
    searcher: neighbors.Searcher


class _EmbedShard(beam.DoFn):
    """Embeds one shard; yields how many clips it held."""

    def __init__(
        self, model_dir: str, engine: str, known_path: str | None, run: str, num_shards: int
    ):
        self._model_dir = model_dir
        self._engine = engine
        self._known_path = known_path
        self._run = run
        self._num_shards = num_shards
        self._shared = shared.Shared()
        self._reused = Metrics.counter(_COUNTERS, "reused")

    def setup(self) -> None:
        """Loads the model, once in a process."""
        self._model = self._shared.acquire(self._load)

    def _load(self) -> _Model:
        known = known_vectors.read(self._known_path) if self._known_path else {}
        return _Model(engines.load(self._engine, self._model_dir), known)

    def process(self, shard: _Shard) -> Iterator[int]:
        """Reads, embeds and writes."""
        examples = embedder.read_examples(shard.examples_path)
        model = self._model.embedder
        embedded = known_vectors.embed(examples, self._model.known, lambda: model)
        names = embedded.names
        table = tables.EmbeddingTable(
            clip_ids=tuple(name.clip_id for name in names),
            class_names=tuple(name.class_name for name in names),
            groups=tuple(name.group for name in names),
            splits=(shard.split,) * len(names),
            vectors=embedded.vectors,
            model_id=model.model_id,
            example_digests=tuple(embedded.digests),
            engine=model.engine,
        )
        tables.write_embeddings(shard.parquet_path, table)
        self._reused.inc(embedded.num_known)
        progress.counts.add(self._run, "shards", 1, self._num_shards)
        yield len(names)


class _FindNeighbors(beam.DoFn):
    """Finds the neighbors of some clips among all; writes a shard of the table."""

    def __init__(
        self,
        embeddings_uri: str,
        options: neighbors.NeighborOptions,
        index_path: str | None,
        facts: dict[str, str],
    ):
        self._embeddings_uri = embeddings_uri
        self._options = options
        self._index_path = index_path
        self._facts = facts
        self._shared = shared.Shared()

    def setup(self) -> None:
        """Reads embeddings and index, once in a process."""
        self._searching = self._shared.acquire(self._load)

    def _load(self) -> _Searching:
        table = tables.read_embeddings(self._embeddings_uri)
        return _Searching(
            table.clip_ids,
            neighbors.Searcher(
                table.vectors,
                table.clip_ids,
                table.groups,
                self._options,
                index.read_index(self._index_path) if self._index_path else None,
            ),
        )

    def process(self, queries: _Queries) -> Iterator[int]:
        """Searches and writes."""
        searcher = self._searching.searcher
        found = searcher.search(searcher.order[queries.start : queries.stop])
        tables.write_neighbors(queries.parquet_path, found, self._searching.ids, self._facts)
        yield len(found.queries)


class Executor(base_beam_executor.BaseBeamExecutor):
    """Unpacks artifacts, runs Beam twice: vectors, then neighbors."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes both artifacts, or leaves both empty where a blessing is missing."""
        blessings = [
            *input_dict.get("model_blessing", []),  # of a training
            *input_dict["retrieval_blessing"],
        ]
        if not all(model_utils.is_model_blessed(blessing) for blessing in blessings):
            return
        embeddings_uri = artifact_utils.get_single_uri(output_dict["embeddings"])
        self._embed(input_dict, embeddings_uri, exec_properties["embed_engine"])
        min_score = exec_properties["min_score"]
        options = neighbors.NeighborOptions(
            k=exec_properties["k"],
            min_score=min_score if min_score > -1 else None,
            exclude_group=bool(exec_properties["exclude_group"]),
            one_per_group=bool(exec_properties["one_per_group"]),
        )
        self._find_neighbors(
            embeddings_uri,
            artifact_utils.get_single_uri(output_dict["neighbors"]),
            options,
            exec_properties["exact_limit"],
            exec_properties["min_index_recall"],
        )

    def _embed(
        self, input_dict: dict[str, list[types.Artifact]], embeddings_uri: str, wanted: str
    ) -> None:
        model_dir = path_utils.serving_model_path(
            artifact_utils.get_single_uri(input_dict["model"])
        )
        champion_uri = artifact_utils.get_single_uri(input_dict["champion"])
        known_path = os.path.join(champion_uri, published.EMBEDDINGS_FILE)
        known = None
        if fileio.exists(known_path):
            known = known_vectors.engine_of(known_path, embedder.model_id(model_dir))
        shards = list(_shards(input_dict["examples"], embeddings_uri))
        engine = engines.choose(wanted, model_dir, known, lambda: _sample(shards))
        embed_shard = _EmbedShard(
            model_dir,
            engine,
            known_path if engine == known else None,
            embeddings_uri,
            len(shards),
        )
        pipeline = self._make_beam_pipeline()
        try:
            _ = (
                pipeline
                # Any: pickled, with no row schema.
                | "CreateShards" >> beam.Create(shards).with_output_types(Any)
                | "SpreadShards" >> beam.Reshuffle()
                | "EmbedShard" >> beam.ParDo(embed_shard)
            )
            result = pipeline.run()
            result.wait_until_finish()
        finally:
            progress.counts.forget(embeddings_uri)
        counters = result.metrics().query(MetricsFilter().with_name("reused"))["counters"]
        # Some runners know of attempts alone, some of neither.
        if reused := sum(counter.committed or counter.attempted or 0 for counter in counters):
            progress.note(f"{reused} vectors of the published version are those of this model")

    def _find_neighbors(
        self,
        embeddings_uri: str,
        neighbors_uri: str,
        options: neighbors.NeighborOptions,
        exact_limit: int,
        min_recall: float,
    ) -> None:
        table = tables.read_embeddings(embeddings_uri)
        count = len(table.clip_ids)
        facts = {"k": str(options.k), "metric": "cosine", "model_id": table.model_id}
        facts |= {
            "index": "exact",
            "exclude_group": str(options.exclude_group).lower(),
            "one_per_group": str(options.one_per_group).lower(),
        }
        if options.min_score is not None:
            facts["min_score"] = str(options.min_score)
        index_path = None
        if count > exact_limit:
            made = index.make_index(
                table.vectors, table.clip_ids, table.groups, options, min_recall
            )
            index_path = os.path.join(neighbors_uri, "index.npz")
            index.write_index(made.cells, index_path)
            facts["index"] = f"cells, recall {made.recall:.4f}"
            progress.note(f"the index finds {made.recall:.4f} of the true neighbors")
        starts = range(0, count, _QUERIES_PER_SHARD)
        shards = [
            _Queries(
                start,
                min(start + _QUERIES_PER_SHARD, count),
                os.path.join(neighbors_uri, f"neighbors-{number:05d}-of-{len(starts):05d}.parquet"),
            )
            for number, start in enumerate(starts)
        ]
        find = _FindNeighbors(embeddings_uri, options, index_path, facts)
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "CreateQueries" >> beam.Create(shards).with_output_types(Any)
                | "SpreadQueries" >> beam.Reshuffle()
                | "FindNeighbors" >> beam.ParDo(find)
            )
        if index_path:
            fileio.remove(index_path)


def _sample(shards: list[_Shard]) -> list[bytes]:
    """Returns the first Examples of all shards, as many of each; engines.CHECKED_CLIPS or all."""
    of_shards = [embedder.read_examples(shard.examples_path) for shard in shards]
    by_turns = itertools.chain.from_iterable(itertools.zip_longest(*of_shards))
    return list(itertools.islice(filter(None, by_turns), engines.CHECKED_CLIPS))


def _shards(examples: list[types.Artifact], embeddings_uri: str) -> Iterator[_Shard]:
    artifact = artifact_utils.get_single_instance(examples)
    for split in artifact_utils.decode_split_names(artifact.split_names):
        folder = artifact_utils.get_split_uri([artifact], split)
        for name in sorted(fileio.listdir(folder)):
            number = f"{split}-{name.removeprefix('data_tfrecord-')}"
            yield _Shard(
                split,
                os.path.join(folder, name),
                os.path.join(embeddings_uri, f"embeddings-{number}.parquet"),
            )
