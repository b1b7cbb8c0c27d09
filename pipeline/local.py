"""TFX's LocalDagRunner, stage by stage, with a board that shows each."""

import datetime
import logging

from tfx import types
from tfx.orchestration import metadata
from tfx.orchestration.local import local_dag_runner, runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import data_types, launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from pipeline import console


class StageError(RuntimeError):
    """A stage failed; its cause is `__cause__`."""

    def __init__(self, stage: str):
        """Names the stage."""
        super().__init__(f"{stage} failed")


class LocalRunner(local_dag_runner.LocalDagRunner):
    """Runs a pipeline in this process.

    Attributes:
      outputs: what each stage that ran gave, by stage and output name.
    """

    def __init__(self, board: console.Board, uncached_nodes: frozenset[str]):
        """Takes what shows the stages, and the ids of those that never come from the cache."""
        super().__init__()
        self.outputs: dict[str, dict[str, list[types.Artifact]]] = {}
        self._board = board
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
            name = node.pipeline_node.node_info.id
            if name in self._uncached_nodes:
                node.pipeline_node.execution_options.caching_options.enable_cache = False
            try:
                with self._board.stage(name) as stage:
                    info = _launch(pipeline, node.pipeline_node, deployment)
                    # A cached execution is told by its lack of an output folder.
                    if not (info and info.execution_output_uri):
                        stage.state = "cached"
            except Exception as error:
                logging.exception("%s failed", name)
                raise StageError(name) from error
            self.outputs[name] = dict(info.output_dict or {}) if info else {}


def run_pipeline(
    pipeline: Pipeline, board: console.Board, uncached_nodes: frozenset[str]
) -> dict[str, dict[str, list[types.Artifact]]]:
    """Runs `pipeline`; returns what each stage that ran gave, by stage and output name."""
    runner = LocalRunner(board, uncached_nodes)
    runner.run(pipeline)
    return runner.outputs


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
