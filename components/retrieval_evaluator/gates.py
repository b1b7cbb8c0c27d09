"""What a candidate must show before it is blessed."""

from collections.abc import Mapping
from typing import NamedTuple

from components.retrieval_evaluator.comparison import Comparison
from components.retrieval_evaluator.metrics import RetrievalMetrics

#: A class of fewer queries says nothing: one clip more or less would decide.
MIN_CLASS_QUERIES = 5
#: Classes that get a sentence of their own; the others share one.
_MAX_SENTENCES = 3
#: A recall is a share of clips, a multiple of 1 / n; what is nearer is a rounding of floats.
_NOISE = 1e-9


class Limits(NamedTuple):
    """The bars; a value on a bar passes.

    Attributes:
      min_recall: recall@1 that a candidate needs.
      max_recall_drop: how far it may lie below the champion's.
      min_class_recall: recall@1 that each class needs.
      max_class_recall_drop: how far that may lie below the champion's for the class.
    """

    min_recall: float
    max_recall_drop: float
    min_class_recall: float
    max_class_recall_drop: float


class Bar(NamedTuple):
    """One bar and how the candidate did.

    Attributes:
      bar: its name, a field of `Limits`.
      class_name: "" for all classes together.
      value: what is held against the limit: a recall@1 for a floor, or by how much it is below
        the champion's, negative where it is above.
      limit: the least value that passes for a floor, the greatest for a drop.
      passed: whether it does.
    """

    bar: str
    class_name: str
    value: float
    limit: float
    passed: bool


class Verdict(NamedTuple):
    """All bars, and a sentence a person reads for what speaks against a blessing."""

    bars: tuple[Bar, ...]
    objections: tuple[str, ...]

    @property
    def blessed(self) -> bool:
        """Whether every bar is passed."""
        return all(bar.passed for bar in self.bars)


def judge(
    candidate: RetrievalMetrics,
    champion: RetrievalMetrics | None,
    comparison: Comparison | None,
    limits: Limits,
) -> Verdict:
    """Holds a candidate against all bars.

    Args:
      candidate: its metrics.
      champion: the champion's on the same queries; None where there is none to compare with.
      comparison: of the two; None with `champion`.
      limits: the bars.

    Raises:
      ValueError: a champion without a comparison, or the other way round.
    """
    if (champion is None) != (comparison is None):
        raise ValueError(f"comparison: expected one with a champion alone; got {comparison}")
    recalls = {"": candidate.recall[1], **_judged_classes(candidate)}
    bars = [
        _floor("min_class_recall" if name else "min_recall", name, recall, limits)
        for name, recall in recalls.items()
    ]
    if champion is None or comparison is None:
        return Verdict(tuple(bars), tuple(_objections(bars, recalls, {}, None)))
    before = {"": champion.recall[1], **champion.recall_at_1_per_class}
    bars += [
        _drop("max_class_recall_drop" if name else "max_recall_drop", name, drop, limits)
        for name, drop in ((name, before[name] - recall) for name, recall in recalls.items())
    ]
    return Verdict(tuple(bars), tuple(_objections(bars, recalls, before, comparison)))


def _judged_classes(metrics: RetrievalMetrics) -> dict[str, float]:
    return {
        name: recall
        for name, recall in metrics.recall_at_1_per_class.items()
        if metrics.num_queries_per_class[name] >= MIN_CLASS_QUERIES
    }


def _floor(bar: str, class_name: str, value: float, limits: Limits) -> Bar:
    limit = getattr(limits, bar)
    return Bar(bar, class_name, value, limit, value >= limit - _NOISE)


def _drop(bar: str, class_name: str, value: float, limits: Limits) -> Bar:
    limit = getattr(limits, bar)
    return Bar(bar, class_name, value, limit, value <= limit + _NOISE)


def _objections(
    bars: list[Bar],
    recalls: Mapping[str, float],
    before: Mapping[str, float],
    comparison: Comparison | None,
) -> list[str]:
    """Returns a sentence for each bar that was missed: the worst classes first, the rest in one."""
    sentences = []
    for name in Limits._fields:
        missed = [bar for bar in bars if bar.bar == name and not bar.passed]
        missed.sort(key=lambda bar: -abs(bar.value - bar.limit))
        for bar in missed[:_MAX_SENTENCES]:
            if comparison is None or name in ("min_recall", "min_class_recall"):
                sentences.append(_floor_sentence(bar))
            else:
                sentences.append(_drop_sentence(bar, recalls, before, comparison))
        if rest := missed[_MAX_SENTENCES:]:
            sentences.append(_rest_sentence(rest))
    return sentences


def _floor_sentence(bar: Bar) -> str:
    value, limit = _shown(bar.value, bar.limit)
    return f"{_recall_of(bar)} is {value}, below the floor of {limit}"


def _drop_sentence(
    bar: Bar, recalls: Mapping[str, float], before: Mapping[str, float], comparison: Comparison
) -> str:
    value, limit = _shown(bar.value, bar.limit)
    if bar.class_name:
        lost = comparison.lost_per_class.get(bar.class_name, 0)
        won = comparison.won_per_class.get(bar.class_name, 0)
    else:
        lost, won = len(comparison.lost), len(comparison.won)
    return (
        f"{_recall_of(bar)} is {recalls[bar.class_name]:.3f}, {value} below the champion's "
        f"{before[bar.class_name]:.3f}, more than the {limit} allowed "
        f"({_clips(lost)} lost, {won} won)"
    )


def _rest_sentence(bars: list[Bar]) -> str:
    names = ", ".join(bar.class_name for bar in bars)
    limit = f"{bars[0].limit:.3f}"
    what = (
        f"below the floor of {limit}"
        if bars[0].bar == "min_class_recall"
        else f"more than {limit} below the champion's"
    )
    return f"recall@1 of {len(bars)} more classes is {what}: {names}"


def _recall_of(bar: Bar) -> str:
    return f"recall@1 of class {bar.class_name}" if bar.class_name else "recall@1"


def _clips(count: int) -> str:
    return f"{count} clip" if count == 1 else f"{count} clips"


def _shown(value: float, limit: float) -> tuple[str, str]:
    """Returns both with three decimals, or as many as it takes to tell them apart."""
    for decimals in range(3, 10):
        shown = f"{value:.{decimals}f}", f"{limit:.{decimals}f}"
        if shown[0] != shown[1]:
            break
    return shown
