"""The whole DAG on one page: wiring only.

A refresh is the same without Transform, Trainer and Evaluator: the champion is the candidate.
"""

import json
from pathlib import Path
from typing import NamedTuple

import tensorflow_data_validation as tfdv
from tfx.components import Evaluator, StatisticsGen, Trainer, Transform
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata, pipeline
from tfx.proto import trainer_pb2, transform_pb2
from tfx.types import BaseChannel

from components import features
from components.bulk_inferrer.component import BulkInferrer
from components.champion.component import Champion
from components.clip_example_gen.component import ClipExampleGen
from components.curated_schema.component import CuratedSchema
from components.drift_validator.component import DriftValidator
from components.example_validator.component import ExampleValidator
from components.pusher.component import Pusher
from components.retrieval_evaluator.component import RetrievalEvaluator
from components.trainer.settings import TrainSettings
from pipeline import beam_options, evaluation
from pipeline.config import PipelineConfig, code_version
from pipeline.planning import RunFacts

_SCHEMA_FILE = Path(__file__).resolve().parent.parent / "schema" / "schema.pbtxt"

#: Code of several stages: what makes vectors.
_EMBEDDING = ("components/embedder.py", "components/known_vectors.py")

#: Nodes that act on the world: every run runs them, while the others may come from the cache.
UNCACHED_NODES = frozenset({"Pusher"})


class _Data(NamedTuple):
    """What gives the Examples, and what measures and validates them."""

    example_gen: BaseNode
    curated_schema: BaseNode
    statistics_gen: BaseNode
    example_validator: BaseNode
    drift_validator: BaseNode


class _Candidate(NamedTuple):
    """What is to be published, if it is blessed.

    Attributes:
      nodes: that train it and measure it as a classifier; none in a refresh.
      model: the SavedModel; of a refresh, the champion.
      model_run: the training's logs, if there was one.
      classified: Evaluator's outputs, as inputs of Pusher.
    """

    nodes: list[BaseNode]
    model: BaseChannel
    model_run: BaseChannel | None
    classified: dict[str, BaseChannel]


def create_pipeline(
    config: PipelineConfig,
    facts: RunFacts,
    *,
    name: str,
    root: str,
    metadata_path: str | None = None,
) -> pipeline.Pipeline:
    """Wires the components.

    Args:
      config: the run's settings.
      facts: what the run starts from.
      name: of the pipeline.
      root: folder or URI below which artifacts are written.
      metadata_path: SQLite database of ML Metadata; None where the platform has its own.
    """
    champion = Champion(
        push_dir=config.push_dir,
        live_version=facts.live_version,
        live_fingerprint=facts.live_fingerprint,
    )
    data = _data_nodes(config, facts, champion)
    if config.refresh:
        candidate = _Candidate([], champion.outputs["champion"], None, {})
    else:
        candidate = _training_nodes(config, data, champion)
    gate = _retrieval_evaluator(config, data, champion, candidate)
    publishing = _publishing_nodes(config, facts, champion, data, candidate, gate)
    return pipeline.Pipeline(
        pipeline_name=name,
        pipeline_root=root,
        components=[champion, *data, *candidate.nodes, gate, *publishing],
        enable_cache=True,
        metadata_connection_config=(
            metadata.sqlite_metadata_connection_config(metadata_path) if metadata_path else None
        ),
        beam_pipeline_args=beam_options.of_all(config),
    )


def _data_nodes(config: PipelineConfig, facts: RunFacts, champion: Champion) -> _Data:
    """Clips become Examples, which are measured and validated."""
    example_gen = ClipExampleGen(
        source=config.source,
        classes=config.classes,
        clips_per_class=config.clips_per_class,
        split=config.split,
        split_fractions=config.split_fractions,
        num_frames=config.num_frames,
        num_windows=config.num_windows,
        frame_step=config.frame_step,
        image_size=config.image_size,
        seed=config.seed,
        max_reject_fraction=config.max_reject_fraction,
        fetch_workers=config.fetch_workers,
        fetch_timeout=config.fetch_timeout,
        store_dir=config.store_dir,
        data_version=facts.data_version,
        code_version=code_version("components/clip_example_gen", "components/features.py"),
        decode_version=code_version(
            "components/clip_example_gen/clips.py",
            "components/clip_example_gen/containers.py",
            "components/clip_example_gen/examples.py",
            "components/clip_example_gen/previews.py",
            "components/clip_example_gen/sampling.py",
        ),
    )
    examples = example_gen.outputs["examples"]
    curated_schema = CuratedSchema(text=_SCHEMA_FILE.read_text())
    schema = curated_schema.outputs["schema"]
    statistics_gen = StatisticsGen(
        examples=examples,
        stats_options=tfdv.StatsOptions(feature_allowlist=list(features.WATCHED)),
    ).with_beam_pipeline_args(beam_options.of_statistics_gen(config))
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema
    )
    drift_validator = DriftValidator(
        statistics=statistics_gen.outputs["statistics"],
        champion=champion.outputs["champion"],
        max_drift=config.max_drift,
        max_class_drift=config.max_class_drift,
        code_version=code_version("components/drift_validator", "components/features.py"),
    )
    return _Data(example_gen, curated_schema, statistics_gen, example_validator, drift_validator)


def _training_nodes(config: PipelineConfig, data: _Data, champion: Champion) -> _Candidate:
    """A network is trained, and measured as a classifier."""
    examples = data.example_gen.outputs["examples"]
    transform = Transform(
        examples=examples,
        schema=data.curated_schema.outputs["schema"],
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"]),
        materialize=False,
        disable_statistics=True,
        custom_config={
            "num_frames": config.num_frames,
            "image_size": config.image_size,
            "code_version": code_version("components/transform"),
        },
    )
    transform.add_upstream_nodes([data.example_validator, data.drift_validator])
    trainer = Trainer(
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        base_model=champion.outputs["champion"] if config.warm_start else None,
        run_fn="components.trainer.train.run_fn",
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config={
            **_train_settings(config)._asdict(),
            "code_version": code_version("components/trainer"),
        },
    )
    evaluator = Evaluator(
        examples=examples,
        model=trainer.outputs["model"],
        example_splits=["test"],
        eval_config=evaluation.make_eval_config(config.min_accuracy),
    )
    classified = {
        "model_evaluation": evaluator.outputs["evaluation"],
        "model_blessing": evaluator.outputs["blessing"],
    }
    nodes = [transform, trainer, evaluator]
    return _Candidate(nodes, trainer.outputs["model"], trainer.outputs["model_run"], classified)


def _train_settings(config: PipelineConfig) -> TrainSettings:
    return TrainSettings(
        num_frames=config.num_frames,
        image_size=config.image_size,
        epochs=config.epochs,
        batch_size=config.batch_size,
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        label_smoothing=config.label_smoothing,
        balance_classes=config.balance_classes,
        crop=config.augment_crop,
        flip=config.augment_flip,
        color=config.augment_color,
        temporal_jitter=config.temporal_jitter,
        patience=config.patience,
        precision=config.precision,
        seed=config.seed,
        checkpoint_dir=config.checkpoint_dir,
    )


def _retrieval_evaluator(
    config: PipelineConfig, data: _Data, champion: Champion, candidate: _Candidate
) -> RetrievalEvaluator:
    """The candidate is measured by retrieval, beside the champion."""
    retrieval_evaluator = RetrievalEvaluator(
        examples=data.example_gen.outputs["examples"],
        model=candidate.model,
        champion=champion.outputs["champion"],
        model_run=candidate.model_run,
        num_frames=config.num_frames,
        min_recall=config.min_recall,
        max_recall_drop=config.max_recall_drop,
        min_class_recall=config.min_class_recall,
        max_class_recall_drop=config.max_class_recall_drop,
        code_version=code_version(
            "components/retrieval_evaluator", "components/plots.py", *_EMBEDDING
        ),
    )
    retrieval_evaluator.add_upstream_nodes([data.example_validator, data.drift_validator])
    return retrieval_evaluator


def _publishing_nodes(
    config: PipelineConfig,
    facts: RunFacts,
    champion: Champion,
    data: _Data,
    candidate: _Candidate,
    gate: RetrievalEvaluator,
) -> list[BaseNode]:
    """A blessed model embeds every clip, and all that is published."""
    examples = data.example_gen.outputs["examples"]
    bulk_inferrer = BulkInferrer(
        examples=examples,
        model=candidate.model,
        champion=champion.outputs["champion"],
        model_blessing=candidate.classified.get("model_blessing"),
        retrieval_blessing=gate.outputs["blessing"],
        embed_engine=config.embed_engine,
        k=config.k,
        min_score=config.min_score,
        exclude_group=config.exclude_group,
        one_per_group=config.one_per_group,
        exact_limit=config.exact_limit,
        min_index_recall=config.min_index_recall,
        code_version=code_version("components/bulk_inferrer", *_EMBEDDING),
    )
    pusher = Pusher(
        push_dir=config.push_dir,
        live_version=facts.live_version,
        keep_versions=config.keep_versions,
        settings=json.dumps(config.result_settings() | json.loads(facts.trained_with)),
        data_version=facts.data_version,
        run_fingerprint=facts.run_fingerprint,
        examples=examples,
        statistics=data.statistics_gen.outputs["statistics"],
        model=candidate.model,
        embeddings=bulk_inferrer.outputs["embeddings"],
        neighbors=bulk_inferrer.outputs["neighbors"],
        retrieval_evaluation=gate.outputs["evaluation"],
        retrieval_blessing=gate.outputs["blessing"],
        **candidate.classified,
    )
    return [bulk_inferrer, pusher]
