"""What a run starts from, found before any work is done; imports no TFX."""

import dataclasses
from typing import NamedTuple

from components import published
from components.clip_example_gen import archive, selection
from pipeline.config import PipelineConfig, code_version

#: All code that decides what is published.
_CODE = ("components", "pipeline", "schema/schema.pbtxt")


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """What a run knows of the world before it starts.

    Attributes:
      data_version: the source's fingerprint.
      live_version: the published version's name, "" before the first.
      live_fingerprint: `run_fingerprint` of the run that published it.
      run_fingerprint: digest of all that decides what this run publishes.
    """

    data_version: str
    live_version: str
    live_fingerprint: str
    run_fingerprint: str


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
      facts: what the run starts from.
      clips_per_split: how many clips it takes.
      live: where the live version is, for people; "" before the first.
    """

    facts: RunFacts
    clips_per_split: dict[str, int]
    live: str

    @property
    def up_to_date(self) -> bool:
        """Whether what is live is what this run would publish."""
        return self.facts.live_fingerprint == self.facts.run_fingerprint

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
    live_version = live_fingerprint = location = ""
    if published.current_version(config.push_dir):
        with published.open_published(config.push_dir) as live:
            live_version, location = str(live.version), live.location
            live_fingerprint = live.manifest.run_fingerprint
    if config.reuse_model and not live_version:
        raise ValueError(f"reuse_model: expected a published version; none in {config.push_dir}")
    data_version = selected.data_version + config.data_version
    facts = RunFacts(
        data_version=data_version,
        live_version=live_version,
        live_fingerprint=live_fingerprint,
        run_fingerprint=config.fingerprint(data_version, code_version(*_CODE)),
    )
    return Plan(facts, {split: len(refs) for split, refs in selected.assigned.items()}, location)
