"""TFX's LocalDagRunner, stage by stage: who watches learns when each starts and how it ends."""

import contextlib
import datetime
import logging
import time
from collections.abc import Iterator
from typing import Protocol

from tfx import types
from tfx.orchestration import metadata
from tfx.orchestration.local import local_dag_runner, runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import data_types, launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2


class StageObserver(Protocol):
    """Is told of stages."""

    def stage_started(self, stage: str) -> None:
        """Called before a stage runs."""

    def stage_finished(self, stage: str, state: str, seconds: float) -> None:
        """Called after it: `state` is "done", "cached" or "failed"."""


class StageError(RuntimeError):
    """A stage failed; its cause is `__cause__`."""

    def __init__(self, stage: str):
        """Names the stage."""
        super().__init__(f"{stage} failed")
        self.stage = stage


class LocalRunner(local_dag_runner.LocalDagRunner):
    """Runs a pipeline in this process.

    Attributes:
      outputs: what each stage that ran gave, by stage and output name.
    """

    def __init__(self, observer: StageObserver, uncached_nodes: frozenset[str]):
        """Takes who is told of the stages, and the ids of those that never come from the cache."""
        super().__init__()
        self.outputs: dict[str, dict[str, list[types.Artifact]]] = {}
        self._observer = observer
        self._uncached_nodes = uncached_nodes

    def run_with_ir(
        self,
        pipeline: pipeline_pb2.Pipeline,
        run_options: pipeline_pb2.RunOptions | None = None,
    ) -> None:
        """Runs all nodes in their topological order; raises StageError at the first that fails."""
        run_id = datetime.datetime.now().isoformat()
        runtime_parameter_utils.substitute_runtime_parameter(pipeline, {"pipeline-run-id": run_id})
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        for node in pipeline.nodes:
            stage = node.pipeline_node.node_info.id
            if stage in self._uncached_nodes:
                node.pipeline_node.execution_options.caching_options.enable_cache = False
            with _observed(self._observer, stage) as states:
                info = _launch(pipeline, node.pipeline_node, deployment)
                # A cached execution is told by its lack of an output folder.
                states.append("done" if info and info.execution_output_uri else "cached")
            self.outputs[stage] = dict(info.output_dict or {}) if info else {}


def run_pipeline(
    pipeline: Pipeline, observer: StageObserver, uncached_nodes: frozenset[str]
) -> dict[str, dict[str, list[types.Artifact]]]:
    """Runs `pipeline`; returns what each stage that ran gave, by stage and output name."""
    runner = LocalRunner(observer, uncached_nodes)
    runner.run(pipeline)
    return runner.outputs


@contextlib.contextmanager
def _observed(observer: StageObserver, stage: str) -> Iterator[list[str]]:
    """Tells `observer` of start and end; the body appends the state to the list it gets."""
    states: list[str] = []
    started = time.monotonic()
    observer.stage_started(stage)
    try:
        yield states
    except Exception as error:
        logging.exception("%s failed", stage)
        states.append("failed")
        raise StageError(stage) from error
    finally:
        observer.stage_finished(stage, states[-1], time.monotonic() - started)


def _launch(
    pipeline: pipeline_pb2.Pipeline,
    node: pipeline_pb2.PipelineNode,
    deployment: "pipeline_pb2.LocalDeploymentConfig",
) -> data_types.ExecutionInfo | None:
    connection = deployment.metadata_connection_config
    return launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=metadata.Metadata(
            getattr(connection, connection.WhichOneof("connection_config"))
        ),
        pipeline_info=pipeline.pipeline_info,
        pipeline_runtime_spec=pipeline.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
    ).launch()
