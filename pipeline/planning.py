"""What a run starts from, found before any work is done; imports no TFX."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from components import published
from components.clip_example_gen import archive, selection
from pipeline.config import PipelineConfig, code_version

#: All code that decides what is published.
_CODE = ("components", "pipeline", "schema/schema.pbtxt")
#: Settings of the training alone; of a refresh, they are those that the live model had.
TRAINING_SETTINGS = (
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "label_smoothing",
    "balance_classes",
    "augment_crop",
    "augment_flip",
    "augment_color",
    "temporal_jitter",
    "patience",
    "precision",
    "warm_start",
)
#: Settings that decide whether something is published, and not what.
BARS = (
    "min_accuracy",
    "min_recall",
    "max_recall_drop",
    "min_class_recall",
    "max_class_recall_drop",
    "max_drift",
    "max_class_drift",
)
#: Settings that the live model must share with a refresh, for it cannot take other clips.
_GEOMETRY = ("num_frames", "image_size")


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """What a run knows of the world before it starts.

    Attributes:
      data_version: the source's fingerprint.
      live_version: the published version's name, "" before the first.
      live_fingerprint: `run_fingerprint` of the run that published it.
      run_fingerprint: digest of all that decides what this run publishes.
      trained_with: of a refresh, the settings that its model was trained with, as JSON; they stand
        in the manifest in place of this run's.
    """

    data_version: str
    live_version: str
    live_fingerprint: str
    run_fingerprint: str
    trained_with: str = "{}"


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
      facts: what the run starts from.
      clips_per_split: how many clips it takes.
      live: where the live version is, for people; "" before the first.
      up_to_date: whether what is live is what this run would publish.
    """

    facts: RunFacts
    clips_per_split: dict[str, int]
    live: str
    up_to_date: bool

    @property
    def finding(self) -> str:
        """What there is to do, for people."""
        if self.up_to_date:
            return f"nothing changed since {self.live}"
        clips = ", ".join(f"{split} {count}" for split, count in self.clips_per_split.items())
        return f"{clips}; live: {self.live or 'nothing'}"


def make_plan(config: PipelineConfig) -> Plan:
    """Lists the source, assigns the splits, and looks at what is published.

    Raises:
      ValueError: the source cannot be read, classes or splits cannot be had of it, what is
        published cannot be read, or nothing is and the settings need it.
    """
    with archive.open_archive(
        config.source,
        timeout_sec=config.fetch_timeout,
        download_dir=archive.download_dir(config.store_dir),
        beam_args=config.beam_args,
    ) as opened:
        selected = selection.select(
            opened,
            classes=config.classes,
            split=config.split,
            split_fractions=config.split_fractions,
            clips_per_class=config.clips_per_class,
            seed=config.seed,
        )
    live, location = _read_live(config.push_dir)
    data_version, code = selected.data_version + config.data_version, code_version(*_CODE)
    trained_with: dict[str, Any] = {}
    same: dict[str, Any] = {}
    if config.refresh:
        live = _usable(config, live)
        trained_with = _settings_of(live, TRAINING_SETTINGS)
        # Of what a training has published, too, a refresh changes nothing.
        same = trained_with | _settings_of(live, (*BARS, "refresh"))
    facts = RunFacts(
        data_version=data_version,
        live_version=str(live.version) if live else "",
        live_fingerprint=live.run_fingerprint if live else "",
        run_fingerprint=config.fingerprint(data_version, code, **trained_with),
        trained_with=json.dumps(trained_with),
    )
    counts = {split: len(refs) for split, refs in selected.assigned.items()}
    up_to_date = facts.live_fingerprint == config.fingerprint(data_version, code, **same)
    return Plan(facts, counts, location, up_to_date)


def _read_live(push_dir: str) -> tuple[published.Manifest | None, str]:
    """Returns the live version's manifest and where it is; None and "" before the first."""
    if not published.current_version(push_dir):
        return None, ""
    with published.open_published(push_dir) as live:
        return live.manifest, live.location


def _usable(config: PipelineConfig, live: published.Manifest | None) -> published.Manifest:
    """Returns the live version; ValueError if a refresh cannot use its model."""
    if live is None:
        raise ValueError(f"refresh: expected a published version; none in {config.push_dir}")
    for name in _GEOMETRY:
        if live.config.get(name) != getattr(config, name):
            raise ValueError(
                f"{name}: expected {live.config.get(name)}, as version {live.version} was trained "
                f"with; got {getattr(config, name)}"
            )
    return live


def _settings_of(live: published.Manifest, names: Iterable[str]) -> dict[str, Any]:
    """Returns the settings that a version was published with, as far as it has them."""
    return {name: live.config[name] for name in names if name in live.config}
