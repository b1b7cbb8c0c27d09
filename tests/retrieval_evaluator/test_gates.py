"""The bars that a candidate must clear."""

import pytest

from components.retrieval_evaluator import gates


@pytest.mark.parametrize(
    ("recall", "champion", "parts"),
    [
        (0.9, None, []),
        (0.5, None, []),
        (0.49, None, ["0.490", "floor of 0.500"]),
        (0.9, 0.94, []),
        (0.9, 0.96, ["0.900", "more than 0.050", "champion's 0.960"]),
        (0.95, 0.6, []),
    ],
)
def test_objections(recall, champion, parts):
    """An objection names the figure and the bar; at the bar there is none."""
    found = gates.objections(recall, champion, min_recall=0.5, max_recall_drop=0.05)
    assert len(found) == (1 if parts else 0)
    for part in parts:
        assert part in found[0]


def test_both_bars_are_told():
    """A candidate that misses both bars hears of both."""
    assert len(gates.objections(0.1, 0.9, min_recall=0.5, max_recall_drop=0.05)) == 2
