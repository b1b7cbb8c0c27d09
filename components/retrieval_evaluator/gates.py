"""What a candidate must show before it is blessed."""


def objections(
    recall_at_1: float,
    champion_recall_at_1: float | None,
    *,
    min_recall: float,
    max_recall_drop: float,
) -> list[str]:
    """Returns what speaks against a candidate, a sentence each; empty for a blessing.

    Args:
      recall_at_1: the candidate's, in [0, 1].
      champion_recall_at_1: the champion's on the same clips; None where there is none to compare.
      min_recall: the absolute floor.
      max_recall_drop: how far the candidate may lie below the champion.
    """
    found = []
    if recall_at_1 < min_recall:
        found.append(f"recall@1 is {recall_at_1:.3f}, below the floor of {min_recall:.3f}")
    if champion_recall_at_1 is not None and recall_at_1 < champion_recall_at_1 - max_recall_drop:
        found.append(
            f"recall@1 is {recall_at_1:.3f}, more than {max_recall_drop:.3f} below the "
            f"champion's {champion_recall_at_1:.3f}"
        )
    return found
