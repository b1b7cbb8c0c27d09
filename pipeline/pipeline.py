"""The whole DAG on one page: wiring only."""

import json
from pathlib import Path

import tensorflow_data_validation as tfdv
from tfx.components import Evaluator, StatisticsGen, Trainer, Transform
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata, pipeline
from tfx.proto import trainer_pb2, transform_pb2

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
from pipeline import evaluation
from pipeline.config import PipelineConfig, code_version
from pipeline.planning import RunFacts

_SCHEMA_FILE = Path(__file__).resolve().parent.parent / "schema" / "schema.pbtxt"

LOCAL_BEAM_ARGS = (
    # Threads in this process: OpenCV, TensorFlow and FAISS release the interpreter's lock.
    "--direct_running_mode=multi_threading",
    "--direct_num_workers=0",
    # Without an image TFX packs itself for remote workers, seconds for each stage.
    "--sdk_container_image=none",
)

#: Nodes that act on the world: every run runs them, while the others may come from the cache.
UNCACHED_NODES = frozenset({"Pusher"})


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
    example_gen, _, statistics_gen, *_, transform = data
    trainer = _trainer(config, example_gen, transform, champion)
    gates = _gate_nodes(config, example_gen, trainer, champion)
    data_nodes = (example_gen, statistics_gen)
    publishing = _publishing_nodes(config, facts, champion, data_nodes, trainer, gates)
    return pipeline.Pipeline(
        pipeline_name=name,
        pipeline_root=root,
        components=[champion, *data, trainer, *gates, *publishing],
        enable_cache=True,
        metadata_connection_config=(
            metadata.sqlite_metadata_connection_config(metadata_path) if metadata_path else None
        ),
        beam_pipeline_args=_beam_args(config),
    )


def _beam_args(config: PipelineConfig) -> list[str]:
    """Returns the options of every Beam stage: the settings', and DirectRunner's unless named."""
    elsewhere = any(argument.startswith("--runner") for argument in config.beam_args)
    return [*(() if elsewhere else LOCAL_BEAM_ARGS), *config.beam_args]


def _data_nodes(config: PipelineConfig, facts: RunFacts, champion: Champion) -> list[BaseNode]:
    """Clips become Examples, which are measured, validated, and given a transform graph."""
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
    )
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
    transform = Transform(
        examples=examples,
        schema=schema,
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
    transform.add_upstream_nodes([example_validator, drift_validator])
    validators = [example_validator, drift_validator]
    return [example_gen, curated_schema, statistics_gen, *validators, transform]


def _trainer(
    config: PipelineConfig, example_gen: BaseNode, transform: BaseNode, champion: BaseNode
) -> Trainer:
    settings = TrainSettings(
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
    return Trainer(
        examples=example_gen.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        base_model=(
            champion.outputs["champion"] if config.warm_start or config.reuse_model else None
        ),
        run_fn=f"components.trainer.{'reuse' if config.reuse_model else 'train'}.run_fn",
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config={**settings._asdict(), "code_version": code_version("components/trainer")},
    )


def _gate_nodes(
    config: PipelineConfig, example_gen: BaseNode, trainer: Trainer, champion: BaseNode
) -> list[BaseNode]:
    """The candidate is measured by class and by retrieval, beside the champion."""
    examples, model = example_gen.outputs["examples"], trainer.outputs["model"]
    evaluator = Evaluator(
        examples=examples,
        model=model,
        example_splits=["test"],
        eval_config=evaluation.make_eval_config(config.min_accuracy),
    )
    retrieval_evaluator = RetrievalEvaluator(
        examples=examples,
        model=model,
        champion=champion.outputs["champion"],
        model_run=trainer.outputs["model_run"],
        num_frames=config.num_frames,
        min_recall=config.min_recall,
        max_recall_drop=config.max_recall_drop,
        min_class_recall=config.min_class_recall,
        max_class_recall_drop=config.max_class_recall_drop,
        code_version=code_version(
            "components/retrieval_evaluator", "components/embedder.py", "components/plots.py"
        ),
    )
    return [evaluator, retrieval_evaluator]


def _publishing_nodes(
    config: PipelineConfig,
    facts: RunFacts,
    champion: BaseNode,
    data_nodes: tuple[BaseNode, BaseNode],
    trainer: Trainer,
    gates: list[BaseNode],
) -> list[BaseNode]:
    """A blessed model embeds every clip, and all that is published."""
    example_gen, statistics_gen = data_nodes
    evaluator, retrieval_evaluator = gates
    examples, model = example_gen.outputs["examples"], trainer.outputs["model"]
    blessings = {
        "model_blessing": evaluator.outputs["blessing"],
        "retrieval_blessing": retrieval_evaluator.outputs["blessing"],
    }
    bulk_inferrer = BulkInferrer(
        examples=examples,
        model=model,
        champion=champion.outputs["champion"],
        embed_engine=config.embed_engine,
        k=config.k,
        min_score=config.min_score,
        exclude_group=config.exclude_group,
        one_per_group=config.one_per_group,
        exact_limit=config.exact_limit,
        min_index_recall=config.min_index_recall,
        code_version=code_version("components/bulk_inferrer", "components/embedder.py"),
        **blessings,
    )
    pusher = Pusher(
        push_dir=config.push_dir,
        live_version=facts.live_version,
        keep_versions=config.keep_versions,
        settings=json.dumps(config.result_settings()),
        data_version=facts.data_version,
        run_fingerprint=facts.run_fingerprint,
        examples=examples,
        statistics=statistics_gen.outputs["statistics"],
        model=model,
        embeddings=bulk_inferrer.outputs["embeddings"],
        neighbors=bulk_inferrer.outputs["neighbors"],
        model_evaluation=evaluator.outputs["evaluation"],
        retrieval_evaluation=retrieval_evaluator.outputs["evaluation"],
        **blessings,
    )
    return [bulk_inferrer, pusher]
