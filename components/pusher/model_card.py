"""The model card: what a version is, how it was made, how good it is, and where it ends.

After Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from components.published import Manifest

#: What a reader wants to know of the settings first; all are in manifest.json.
_TRAINING = ("epochs", "batch_size", "optimizer", "learning_rate", "precision", "seed")
_CLIPS = ("num_frames", "num_windows", "frame_step", "image_size", "split")


def write_model_card(
    manifest: Manifest, clips: Iterable[Mapping[str, Any]], lineage: Mapping[str, int]
) -> str:
    """Returns the card as Markdown.

    Args:
      manifest: of the version.
      clips: a row for each clip, with `class_name`, `split` and `group`.
      lineage: ids of the artifacts in ML Metadata, by what they are.
    """
    parts = [
        f"# Version {manifest.version}",
        f"A (2+1)D residual CNN that embeds video clips, and the recommendations made with it. "
        f"Published {manifest.created}; model `{manifest.model_id}`; parent: "
        f"{'none' if manifest.parent is None else f'version {manifest.parent}'}.",
        "## Data",
        _data(list(clips), manifest.data_fingerprint),
        "## Training",
        _settings(manifest.config, _CLIPS + _TRAINING),
        "## Figures",
        _figures(manifest.metrics),
        "## Limits",
        "The figures hold for clips like those above: other motions, cameras or frame rates, and "
        "classes that are not listed, were not measured. Recommendations follow visual "
        "similarity as the network sees it, not preference. Near copies are found and reported, "
        "not removed.",
        "## Lineage",
        _table(("artifact", "id in ML Metadata"), sorted(lineage.items())),
        f"Run `{manifest.run_fingerprint}`: settings, clips and code together.",
    ]
    return "\n\n".join(parts) + "\n"


def _data(clips: list[Mapping[str, Any]], fingerprint: str) -> str:
    splits = list(dict.fromkeys(row["split"] for row in clips))
    counts = Counter((row["class_name"], row["split"]) for row in clips)
    names = sorted({row["class_name"] for row in clips})
    rows = [
        (_plain(name) or "(none)", *(counts[name, split] for split in splits)) for name in names
    ]
    groups = len({row["group"] for row in clips})
    return (
        f"{len(clips)} clips of {groups} source videos, each video in one split; fingerprint "
        f"`{fingerprint}`.\n\n{_table(('class', *splits), rows)}"
    )


def _settings(config: Mapping[str, Any], names: Iterable[str]) -> str:
    return _table(("setting", "value"), [(name, config[name]) for name in names if name in config])


def _figures(metrics: Mapping[str, Any]) -> str:
    intervals = metrics.get("intervals") or {}
    figures = [
        (f"recall@{rank} across source videos", value, intervals.get("recall", {}).get(rank))
        for rank, value in metrics.get("recall", {}).items()
    ]
    if "map_at_10" in metrics:
        figures.append(
            ("mAP@10 across source videos", metrics["map_at_10"], intervals.get("map_at_10"))
        )
    measured_by = metrics.get("accuracy_version")  # of a refresh
    note = f", measured by version {measured_by}" if measured_by else ""
    rows = [(f"accuracy on the test split{note}", f"{metrics['accuracy']:.3f}", "")]
    for name, value, interval in figures:
        shown = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else ""
        rows.append((name, f"{value:.3f}", shown))
    return _table(("figure", "value", "95 % interval"), rows)


def _table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _plain(name: str) -> str:
    """Returns a name from the data as Markdown that shows it, whatever it holds."""
    return re.sub(r"([\\`*\[\]<>&])", r"\\\1", name)
