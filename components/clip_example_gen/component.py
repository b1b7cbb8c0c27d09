"""ClipExampleGen: the pipeline's first node."""

import json
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.clip_example_gen import executor


class ClipExampleGenSpec(types.ComponentSpec):
    """Parameters are strings and integers, which every orchestrator can pass on."""

    PARAMETERS = {
        "source": component_spec.ExecutionParameter(type=str),
        "classes": component_spec.ExecutionParameter(type=str),  # JSON
        "clips_per_class": component_spec.ExecutionParameter(type=str),  # JSON
        "split": component_spec.ExecutionParameter(type=str),
        "num_frames": component_spec.ExecutionParameter(type=int),
        "frame_step": component_spec.ExecutionParameter(type=int),
        "image_size": component_spec.ExecutionParameter(type=int),
        "seed": component_spec.ExecutionParameter(type=int),
        "data_version": component_spec.ExecutionParameter(type=str),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class ClipExampleGen(base_beam_component.BaseBeamComponent):
    """Turns the clips of a zip or a folder into Examples with the splits train, eval and test.

    The artifact holds `Split-<split>/data_tfrecord-NNNNN-of-NNNNN`, uncompressed, and beside
    the splits `clips.parquet`, a row for every clip, and `rejects.parquet`, a row for every
    clip that could not be used.
    """

    SPEC_CLASS = ClipExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        *,
        source: str,
        classes: int | Sequence[str],
        clips_per_class: Sequence[int],
        split: str,
        num_frames: int,
        frame_step: int,
        image_size: int,
        seed: int,
        data_version: str,
        code_version: str,
    ) -> None:
        """Declares the node.

        Args:
          source: an http(s) URL of a zip, a zip file or a folder.
          classes: so many classes, the first by name, or the names of some.
          clips_per_class: the most clips of a class in train, eval and test.
          split: `ucf101-1`, `ucf101-2`, `ucf101-3` or `group-hash`.
          num_frames: frames to take from a clip.
          frame_step: frames between two that are taken.
          image_size: height and width of the frames, pixels.
          seed: chooses the clips where there are more than `clips_per_class`.
          data_version: `archive.fingerprint` of the source, so that caching sees a change.
          code_version: changes with the code, likewise.
        """
        spec = ClipExampleGenSpec(
            source=source,
            classes=json.dumps(classes),
            clips_per_class=json.dumps(clips_per_class),
            split=split,
            num_frames=num_frames,
            frame_step=frame_step,
            image_size=image_size,
            seed=seed,
            data_version=data_version,
            code_version=code_version,
            examples=types.Channel(type=standard_artifacts.Examples),
        )
        super().__init__(spec=spec)
