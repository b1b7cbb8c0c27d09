"""Embeds queries and gallery with candidate and champion, measures, judges, draws, blesses."""

import functools
import itertools
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components import embedder, features, known_vectors, plots, progress, published
from components.retrieval_evaluator import bootstrap, comparison, gates, metrics, tables

#: In the evaluation, a row for each query.
QUERIES_FILE = "queries.parquet"

_QUERY_SPLIT = "test"
#: The training list of the protocol; the eval split is cut from it.
_GALLERY_SPLITS = tuple(split for split in features.SPLITS if split != _QUERY_SPLIT)
#: Of the clips that the map shows, and of their places.
_MAP_SEED = 0


class Executor(base_executor.BaseExecutor):
    """Unpacks artifacts, writes report, table, pictures and the blessing."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates the candidate, and the champion where there is one."""
        examples = input_dict["examples"]
        model = artifact_utils.get_single_instance(input_dict["model"])
        champion_uri = artifact_utils.get_single_uri(input_dict["champion"])
        candidate = _evaluate(path_utils.serving_model_path(model.uri), examples, champion_uri)
        champion, note = _evaluate_champion(
            champion_uri, examples, exec_properties["num_frames"], candidate
        )
        compared = _compare(candidate, champion)
        verdict = gates.judge(
            candidate.metrics,
            champion.metrics if champion else None,
            compared,
            gates.Limits(**{name: exec_properties[name] for name in gates.Limits._fields}),
        )
        report = {
            "candidate": _described(candidate),
            "champion": _described(champion) if champion else None,
            "champion_note": note,
            "comparison": compared.as_dict() if compared else None,
            "verdict": [bar._asdict() for bar in verdict.bars],
            "objections": list(verdict.objections),
        }
        progress.note(_note(candidate, champion, note, compared))
        history = _read_history(input_dict.get("model_run"))
        files = {
            features.RETRIEVAL_FILE: json.dumps(report, indent=2).encode(),
            QUERIES_FILE: _query_table(candidate, champion),
            **_pictures(candidate, history),
        }
        folder = artifact_utils.get_single_uri(output_dict["evaluation"])
        fileio.makedirs(folder)
        for name, content in files.items():
            with fileio.open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        _bless(artifact_utils.get_single_instance(output_dict["blessing"]), model, verdict.blessed)


class _Evaluated(NamedTuple):
    """A model, its embeddings and its metrics."""

    model_id: str
    queries: embedder.EmbeddedClips
    gallery: embedder.EmbeddedClips
    metrics: metrics.RetrievalMetrics

    def first_neighbors(self) -> tables.FirstNeighbors:
        """Returns what is recommended first for each query."""
        rows = self.metrics.per_query.first_rows
        return tables.FirstNeighbors(
            ids=tuple(self.gallery.clip_ids[row] for row in rows),
            class_names=tuple(self.gallery.class_names[row] for row in rows),
            scores=self.metrics.per_query.first_scores,
        )


def _evaluate(
    model_dir: str,
    examples: list[types.Artifact],
    champion_uri: str,
    only_engine: str | None = None,
) -> _Evaluated:
    """Embeds and measures.

    Args:
      model_dir: a SavedModel.
      examples: raw Examples.
      champion_uri: of Champion; vectors that it has of this model are taken over.
      only_engine: if given, those of this engine alone.
    """
    model_id = embedder.model_id(model_dir)
    known = _known_vectors(champion_uri, model_id, only_engine)
    load = functools.cache(lambda: embedder.Embedder(model_dir))
    queries, gallery = (
        _embed(_read_clips(examples, splits), known, load)
        for splits in ((_QUERY_SPLIT,), _GALLERY_SPLITS)
    )
    measured = metrics.evaluate_retrieval(
        queries.vectors, queries.class_names, gallery.vectors, gallery.class_names
    )
    return _Evaluated(model_id, queries, gallery, measured)


def _known_vectors(
    champion_uri: str, model_id: str, only_engine: str | None
) -> known_vectors.KnownVectors:
    path = os.path.join(champion_uri, published.EMBEDDINGS_FILE)
    if not fileio.exists(path):
        return {}
    engine = known_vectors.engine_of(path, model_id)
    if engine is None or only_engine not in (None, engine):
        return {}
    return known_vectors.read(path)


def _embed(
    clips: Iterator[bytes],
    known: known_vectors.KnownVectors,
    load: Callable[[], embedder.Embedder],
) -> embedder.EmbeddedClips:
    names, _, vectors, _ = known_vectors.embed(clips, known, load)
    clip_ids, groups, class_names = zip(*names, strict=True)
    return embedder.EmbeddedClips(clip_ids, groups, class_names, vectors)


def _read_clips(examples: list[types.Artifact], splits: tuple[str, ...]) -> Iterator[bytes]:
    """Yields the serialized Examples of all `splits`, and reports the shards that are done."""
    patterns = [os.path.join(artifact_utils.get_split_uri(examples, name), "*") for name in splits]
    shards = list(itertools.chain.from_iterable(sorted(fileio.glob(p)) for p in patterns))
    for done, shard in enumerate(shards):
        progress.report(f"{'+'.join(splits)} shards", done, len(shards))
        yield from embedder.read_examples(shard)
    progress.report(f"{'+'.join(splits)} shards", len(shards), len(shards))


def _evaluate_champion(
    uri: str, examples: list[types.Artifact], num_frames: int, candidate: _Evaluated
) -> tuple[_Evaluated | None, str]:
    """Returns the evaluated champion, or None and why there is none.

    Where the candidate is the champion, it is not evaluated twice.
    """
    manifest_path = os.path.join(uri, published.MANIFEST_FILE)
    if not fileio.exists(manifest_path):
        return None, "no champion: this is the first version"
    with fileio.open(manifest_path, "r") as file:
        manifest = json.load(file)
    name = f"version {manifest['version']}"
    # Asked for first: a model may take two windows of five frames for one of ten.
    wanted = manifest["config"].get("num_frames", num_frames)
    if wanted != num_frames:
        return None, f"{name} cannot embed these clips: it wants windows of {wanted} frames"
    model_dir = path_utils.serving_model_path(uri)
    if embedder.model_id(model_dir) == candidate.model_id:
        return candidate, f"{name}, which is this model{_own_recall(manifest)}"
    try:
        # By the candidate's engine: else the comparison would be one of engines too.
        return _evaluate(model_dir, examples, uri, only_engine=embedder.Embedder.engine), name
    except tf.errors.InvalidArgumentError:
        return None, f"{name} cannot embed these clips: it wants other sizes of frames"


def _own_recall(manifest: dict[str, Any]) -> str:
    """Says what a version had on the library that it was published with."""
    recall = manifest.get("metrics", {}).get("recall", {}).get("1")
    return "" if recall is None else f", had {recall:.3f} on its own"


def _compare(candidate: _Evaluated, champion: _Evaluated | None) -> comparison.Comparison | None:
    if champion is None:
        return None
    return comparison.compare(
        candidate.metrics.per_query.right,
        champion.metrics.per_query.right,
        query_ids=candidate.queries.clip_ids,
        query_classes=candidate.queries.class_names,
        groups=candidate.queries.groups,
    )


def _note(
    candidate: _Evaluated,
    champion: _Evaluated | None,
    name: str,
    compared: comparison.Comparison | None,
) -> str:
    """Says how the champion does on this run's test clips, beside the candidate."""
    if champion is None or compared is None:
        return name
    if champion is candidate:
        return f"recall@1 is {candidate.metrics.recall[1]:.3f} on these test clips; {name}"
    return (
        f"{name} has recall@1 {champion.metrics.recall[1]:.3f} on these test clips, the candidate "
        f"{candidate.metrics.recall[1]:.3f}: {len(compared.won)} won, {len(compared.lost)} lost"
    )


def _described(model: _Evaluated) -> dict[str, Any]:
    """Returns a model's part of the report."""
    intervals = bootstrap.metric_intervals(model.metrics, model.queries.groups)
    return {"model_id": model.model_id, **model.metrics.as_dict(), "intervals": intervals}


def _query_table(candidate: _Evaluated, champion: _Evaluated | None) -> bytes:
    return tables.encode_queries(
        candidate.queries.clip_ids,
        candidate.queries.class_names,
        candidate.queries.groups,
        candidate.first_neighbors(),
        champion.first_neighbors() if champion else None,
    )


def _read_history(model_run: list[types.Artifact] | None) -> list[dict[str, Any]]:
    """Returns the rows of the training's epochs, none where there are none."""
    if not model_run:
        return []
    path = os.path.join(artifact_utils.get_single_uri(model_run), features.HISTORY_FILE)
    if not fileio.exists(path):
        return []
    with fileio.open(path, "r") as file:
        return json.load(file)


def _pictures(candidate: _Evaluated, history: list[dict[str, Any]]) -> dict[str, bytes]:
    """Returns PNG files by their names."""
    queries, measured = candidate.queries, candidate.metrics
    pictures = {
        "confusion.png": plots.confusion_matrix(
            queries.class_names,
            candidate.first_neighbors().class_names,
            "Classes of the test clips, and of the clip recommended first",
        ),
        "recall_by_class.png": plots.recall_by_class(
            measured.recall_at_1_per_class, measured.num_queries_per_class
        ),
        "embedding_map.png": plots.embedding_map(queries.vectors, queries.class_names, _MAP_SEED),
    }
    if history:
        pictures["learning_curves.png"] = plots.learning_curves(history)
    return pictures


def _bless(blessing: types.Artifact, model: types.Artifact, blessed: bool) -> None:
    """Marks the artifact as TFX's Evaluator does, so that its readers understand it."""
    blessing.set_string_custom_property("current_model", model.uri)
    blessing.set_int_custom_property("current_model_id", model.id)
    blessing.set_int_custom_property("blessed", int(blessed))
    name = "BLESSED" if blessed else "NOT_BLESSED"
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
