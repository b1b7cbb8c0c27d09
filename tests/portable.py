"""A Beam runner that runs nothing: it hands back what would go to workers elsewhere."""

import apache_beam as beam
from apache_beam.runners.runner import PipelineRunner


class Captured(Exception):
    """Ends an executor whose pipeline was captured; `pipeline` is beam_runner_api_pb2.Pipeline."""

    def __init__(self, pipeline):
        super().__init__("captured")
        self.pipeline = pipeline


class CapturingRunner(PipelineRunner):
    """Raises Captured with the pipeline in its portable form."""

    def run_pipeline(self, pipeline: beam.Pipeline, options: object) -> None:
        raise Captured(pipeline.to_runner_api())
