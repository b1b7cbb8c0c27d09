"""How far the clips have moved from those that the champion was trained on.

TFDV measures: for a scalar the Jensen-Shannon divergence of its distribution, with logarithms to
base 2 (Lin, 1991), from 0 for the same to 1 for disjoint ones, by histograms; for the classes
the L-infinity distance of their shares, which is the change of the share that changed most.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import tensorflow_data_validation as tfdv
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components import features

#: The features whose distribution is compared.
SCALARS = tuple(
    name
    for name in features.WATCHED
    if name not in (features.CLIP_ID, features.GROUP, features.CLASS_NAME)
)

#: So many classes are named in a sentence; the report names all.
_MAX_NAMED = 5

_FeatureStatistics = dict[str, statistics_pb2.FeatureNameStatistics]


class Limits(NamedTuple):
    """Drift above which a run stops: of each scalar, and of the class shares, both 0 to 1."""

    max_drift: float
    max_class_drift: float


class FeatureDrift(NamedTuple):
    """A feature's measured drift, None where the champion's data do not have it, and its limit."""

    drift: float | None
    limit: float


@dataclasses.dataclass(frozen=True)
class Report:
    """What moved.

    Attributes:
      champion: its name; None before the first.
      note: a sentence: what was compared with what.
      features: drift by feature; empty where there was nothing to compare with.
      new_classes: classes that the champion's data did not have, sorted.
      missing_classes: classes that only the champion's data had, sorted.
      objections: a sentence for each feature that speaks against going on.
      anomalies: the measures as TFDV gives them.
    """

    champion: str | None
    note: str
    features: dict[str, FeatureDrift] = dataclasses.field(default_factory=dict)
    new_classes: tuple[str, ...] = ()
    missing_classes: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()
    anomalies: anomalies_pb2.Anomalies = dataclasses.field(default_factory=anomalies_pb2.Anomalies)

    def as_dict(self) -> dict[str, Any]:
        """Returns the report for JSON."""
        return {
            "champion": self.champion,
            "note": self.note,
            "features": {name: each._asdict() for name, each in self.features.items()},
            "new_classes": list(self.new_classes),
            "missing_classes": list(self.missing_classes),
            "objections": list(self.objections),
        }

    def finding(self) -> str:
        """Returns one line for a person: what was compared, the classes that came or went."""
        return "; ".join([self.note, *self._class_changes()])

    def _class_changes(self) -> list[str]:
        changes = {"missing classes": self.missing_classes, "new classes": self.new_classes}
        return [f"{kind}: {_named(names)}" for kind, names in changes.items() if names]

    def summary(self) -> str:
        """Returns one line for a person: every objection, the classes that came or went, advice."""
        parts = "; ".join([*self.objections, *self._class_changes()])
        return (
            f"the clips are not as those that {self.champion} was trained on: {parts}; "
            "where that is meant, raise the limit"
        )


def parse_statistics(content: bytes) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Reads statistics as they were published.

    Raises:
      ValueError: they are no binary DatasetFeatureStatisticsList of one data set.
    """
    try:
        statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(content)
    except DecodeError as error:
        raise ValueError(
            "statistics: expected a binary DatasetFeatureStatisticsList; "
            f"got {len(content)} bytes that are none"
        ) from error
    if len(statistics.datasets) != 1:
        raise ValueError(f"statistics: expected one data set; got {len(statistics.datasets)}")
    return statistics


def compare(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    champion_statistics: statistics_pb2.DatasetFeatureStatisticsList | None,
    champion: str | None,
    limits: Limits,
) -> Report:
    """Compares this run's training clips with the champion's.

    Args:
      statistics: of this run's train split.
      champion_statistics: of the champion's train split; None where they are not known.
      champion: its name, None before the first.
      limits: drift that is still allowed.
    """
    if champion is None:
        return Report(None, "no champion: this is the first version, nothing to compare with")
    if champion_statistics is None:
        return Report(
            champion, f"{champion} was published without statistics: nothing to compare with"
        )
    return _compare(statistics, champion_statistics, champion, limits)


def _compare(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    champion_statistics: statistics_pb2.DatasetFeatureStatisticsList,
    champion: str,
    limits: Limits,
) -> Report:
    now, before = _by_name(statistics), _by_name(champion_statistics)
    anomalies = tfdv.validate_statistics(
        statistics, _schema(now, limits), previous_statistics=champion_statistics
    )
    measured = {
        info.path.step[0]: info.drift_measurements[0].value for info in anomalies.drift_skew_info
    }
    limit_of = dict.fromkeys(SCALARS, limits.max_drift)
    limit_of[features.CLASS_NAME] = limits.max_class_drift
    unknown = [name for name in limit_of if not _has_values(before, name)]
    note = f"compared with the training clips of {champion}"
    classes, champion_classes = _classes(now), _classes(before)
    return Report(
        champion=champion,
        note=f"{note}, which have no {', '.join(unknown)}" if unknown else note,
        features={
            name: FeatureDrift(measured.get(name), limit) for name, limit in limit_of.items()
        },
        new_classes=tuple(sorted(classes.keys() - champion_classes)),
        missing_classes=tuple(sorted(champion_classes.keys() - classes)),
        objections=tuple(_objections(now, before, measured, limits)),
        anomalies=anomalies,
    )


def _by_name(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> _FeatureStatistics:
    return {feature.path.step[0]: feature for feature in statistics.datasets[0].features}


def _schema(now: _FeatureStatistics, limits: Limits) -> schema_pb2.Schema:
    """Returns a schema that allows every value and asks for the comparisons."""
    kinds = statistics_pb2.FeatureNameStatistics
    types = {kinds.INT: schema_pb2.INT, kinds.FLOAT: schema_pb2.FLOAT}
    schema = schema_pb2.Schema()
    for name, found in now.items():
        feature = schema.feature.add(name=name, type=types.get(found.type, schema_pb2.BYTES))
        comparator = feature.drift_comparator
        if name in SCALARS:
            comparator.jensen_shannon_divergence.threshold = limits.max_drift
            # Buckets of equal width tell one value apart from two at once: where all clips had
            # 25 frames a second, a single one of 30 would make the divergence 1.
            comparator.jensen_shannon_divergence.source.type = (
                schema_pb2.HistogramSelection.QUANTILES
            )
        elif name == features.CLASS_NAME:
            comparator.infinity_norm.threshold = limits.max_class_drift
    return schema


def _classes(found: _FeatureStatistics) -> dict[str, int]:
    """Returns the number of clips of each class, of the 1000 most frequent (TFDV's default)."""
    if features.CLASS_NAME not in found:
        return {}
    buckets = found[features.CLASS_NAME].string_stats.rank_histogram.buckets
    return {bucket.label: round(bucket.sample_count) for bucket in buckets}


def _has_values(found: _FeatureStatistics, name: str) -> bool:
    if name not in found:
        return False
    kind = found[name].WhichOneof("stats")
    return getattr(found[name], kind).common_stats.num_non_missing > 0


def _objections(
    now: _FeatureStatistics,
    before: _FeatureStatistics,
    measured: dict[str, float],
    limits: Limits,
) -> Iterable[str]:
    """Yields a sentence for each feature that drifted too far, or of which nothing is left."""
    for name in (*SCALARS, features.CLASS_NAME):
        if _has_values(before, name) and not _has_values(now, name):
            yield f"{name}: no clip has it, those of the champion had"
    for name in SCALARS:
        if measured.get(name, 0) > limits.max_drift:
            yield (
                f"{name}: {_range(now[name])}, the champion's data had {_range(before[name])}; "
                f"Jensen-Shannon divergence {measured[name]:.3f}, "
                f"above --max-drift {limits.max_drift:g}"
            )
    if measured.get(features.CLASS_NAME, 0) > limits.max_class_drift:
        yield (
            f"class shares: L-infinity distance {measured[features.CLASS_NAME]:.3f}, "
            f"above --max-class-drift {limits.max_class_drift:g}; "
            f"{_most_changed(_classes(now), _classes(before))}"
        )


def _range(found: statistics_pb2.FeatureNameStatistics) -> str:
    numbers = found.num_stats
    return f"mean {numbers.mean:.3g} ({numbers.min:.3g} to {numbers.max:.3g})"


def _most_changed(now: dict[str, int], before: dict[str, int]) -> str:
    """Returns a sentence on the class whose share changed most."""
    total, total_before = sum(now.values()), sum(before.values())

    def change(name: str) -> float:
        return abs(now.get(name, 0) / total - before.get(name, 0) / total_before)

    name = max(sorted({*now, *before}), key=change)
    return (
        f"class {name} has {now.get(name, 0)} of {total} clips, "
        f"the champion's data had {before.get(name, 0)} of {total_before}"
    )


def _named(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MAX_NAMED])
    return shown if len(names) <= _MAX_NAMED else f"{shown} and {len(names) - _MAX_NAMED} more"
