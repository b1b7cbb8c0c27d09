"""ClipExampleGen: the pipeline's first node."""

import json
from collections.abc import Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.clip_example_gen import executor


def _parameter(kind: type) -> component_spec.ExecutionParameter:
    return component_spec.ExecutionParameter(type=kind)


class ClipExampleGenSpec(types.ComponentSpec):
    """Parameters are strings and numbers, which every orchestrator can pass on."""

    PARAMETERS = {
        "source": _parameter(str),  # a zip or a folder, as `archive.open_archive` takes it
        "classes": _parameter(str),  # JSON: so many, the first by name, or names, or "all"
        "clips_per_class": _parameter(str),  # JSON: the most clips for train, eval and test
        "split": _parameter(str),  # one of `splits.SPLIT_METHODS`
        "split_fractions": _parameter(str),  # JSON: shares of train, eval, test in group-hash
        "num_frames": _parameter(int),  # frames to take from a clip
        "frame_step": _parameter(int),  # frames between two that are taken
        "num_windows": _parameter(int),  # windows to take frames of
        "image_size": _parameter(int),  # height and width of the frames, pixels
        "seed": _parameter(int),  # chooses the clips where there are more than clips_per_class
        "max_reject_fraction": _parameter(float),  # the share of clips that may be unusable
        "fetch_workers": _parameter(int),  # clips on their way at once, for each Beam worker
        "fetch_timeout": _parameter(float),  # seconds that one clip may take, with all retries
        "store_dir": _parameter(str),  # keeps decoded clips: a folder, s3:// or gs://
        # So that caching sees what changed:
        "data_version": _parameter(str),  # `listing.fingerprint` of the clips
        "code_version": _parameter(str),  # of the whole stage
        "decode_version": _parameter(str),  # of what decides what is in an Example
    }
    INPUTS = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class ClipExampleGen(base_beam_component.BaseBeamComponent):
    """Turns the clips of a zip or a folder into Examples with the splits train, eval and test.

    Clips without a class are a fourth split, unlabeled. The artifact holds
    `Split-<split>/data_tfrecord-NNNNN-of-NNNNN`, uncompressed, and beside the splits, as
    Parquet: `clips`, a row for every clip; `rejects`, for every clip that could not be used;
    `duplicates`, for clips that are alike; `previews/<split>-NNNNN-of-NNNNN`, a filmstrip of every
    clip.
    """

    SPEC_CLASS = ClipExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        *,
        classes: int | Sequence[str],
        clips_per_class: Sequence[int],
        split_fractions: Sequence[float],
        **parameters: Any,
    ) -> None:
        """Declares the node; the parameters are those of `ClipExampleGenSpec`, all of them."""
        spec = ClipExampleGenSpec(
            classes=json.dumps(classes),
            clips_per_class=json.dumps(clips_per_class),
            split_fractions=json.dumps(split_fractions),
            examples=types.Channel(type=standard_artifacts.Examples),
            **parameters,
        )
        super().__init__(spec=spec)
