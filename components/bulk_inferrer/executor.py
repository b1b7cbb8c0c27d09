"""Embeds through Beam, a shard of Examples in and a Parquet shard out; then finds neighbors."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.utils import shared
from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import embedder, progress, published
from components.bulk_inferrer import neighbors, tables


class _Shard(NamedTuple):
    """One shard of Examples and the Parquet file that it becomes."""

    split: str
    examples_path: str
    parquet_path: str


class _EmbedShard(beam.DoFn):
    """Embeds one shard; yields how many clips it held."""

    def __init__(self, model_dir: str, run: str, num_shards: int):
        self._model_dir = model_dir
        self._run = run
        self._num_shards = num_shards
        self._shared = shared.Shared()

    def setup(self) -> None:
        """Loads the model, once in a process."""
        self._embedder = self._shared.acquire(lambda: embedder.Embedder(self._model_dir))

    def process(self, shard: _Shard) -> Iterator[int]:
        """Reads, embeds and writes."""
        clips = self._embedder.embed(embedder.read_examples(shard.examples_path))
        table = tables.EmbeddingTable(
            clip_ids=clips.clip_ids,
            class_names=clips.class_names,
            groups=clips.groups,
            splits=(shard.split,) * len(clips.clip_ids),
            vectors=clips.vectors,
            model_id=self._embedder.model_id,
        )
        tables.write_embeddings(shard.parquet_path, table)
        beam.metrics.Metrics.counter("bulk_inferrer", "clips").inc(len(clips.clip_ids))
        progress.counts.add(self._run, "shards", 1, self._num_shards)
        yield len(clips.clip_ids)


class Executor(base_beam_executor.BaseBeamExecutor):
    """Unpacks artifacts, runs Beam, builds the table."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes both artifacts, or leaves both empty where a blessing is missing."""
        blessings = (input_dict["model_blessing"][0], input_dict["retrieval_blessing"][0])
        if not all(model_utils.is_model_blessed(blessing) for blessing in blessings):
            return
        model_dir = path_utils.serving_model_path(
            artifact_utils.get_single_uri(input_dict["model"])
        )
        embeddings_uri = artifact_utils.get_single_uri(output_dict["embeddings"])
        shards = list(_shards(input_dict["examples"], embeddings_uri))
        try:
            with self._make_beam_pipeline() as pipeline:
                _ = (
                    pipeline
                    # Any: pickled, with no row schema.
                    | "CreateShards" >> beam.Create(shards).with_output_types(Any)
                    | "SpreadShards" >> beam.Reshuffle()
                    | "EmbedShard"
                    >> beam.ParDo(_EmbedShard(model_dir, embeddings_uri, len(shards)))
                )
        finally:
            progress.counts.forget(embeddings_uri)
        embedded = tables.read_embeddings(embeddings_uri)
        found = neighbors.nearest_neighbors(
            embedded.vectors, embedded.clip_ids, exec_properties["k"]
        )
        tables.write_neighbors(
            os.path.join(
                artifact_utils.get_single_uri(output_dict["neighbors"]), published.NEIGHBORS_FILE
            ),
            found,
            embedded.clip_ids,
            embedded.model_id,
        )


def _shards(examples: list[types.Artifact], embeddings_uri: str) -> Iterator[_Shard]:
    artifact = artifact_utils.get_single_instance(examples)
    for split in artifact_utils.decode_split_names(artifact.split_names):
        folder = artifact_utils.get_split_uri([artifact], split)
        for name in sorted(fileio.listdir(folder)):
            index = f"{split}-{name.removeprefix('data_tfrecord-')}"
            yield _Shard(
                split,
                os.path.join(folder, name),
                os.path.join(embeddings_uri, f"embeddings-{index}.parquet"),
            )
