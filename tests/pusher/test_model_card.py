"""The model card says what the manifest and the tables say."""

from components.published import FORMAT, Manifest
from components.pusher.model_card import write_model_card

MANIFEST = Manifest(
    format=FORMAT,
    version=3,
    parent=2,
    created="2026-01-02T03:04:05+00:00",
    model_id="0123456789abcdef",
    config={"epochs": 30, "num_frames": 10, "seed": 42, "k": 10},
    metrics={
        "accuracy": 0.91234,
        "recall": {"1": 0.83, "5": 0.95},
        "map_at_10": 0.7826,
        "intervals": {"recall": {"1": [0.75, 0.9], "5": [0.9, 0.98]}, "map_at_10": [0.7, 0.85]},
    },
    data_fingerprint="of-data",
    run_fingerprint="of-run",
    files={},
)
CLIPS = [
    {"class_name": "Fall", "split": "train", "group": "a"},
    {"class_name": "Fall", "split": "test", "group": "b"},
    {"class_name": "Rise", "split": "train", "group": "c"},
    {"class_name": "", "split": "unlabeled", "group": "d"},
]


def test_figures_data_and_lineage_are_there():
    """Every figure with its interval, every class with its clips, every artifact with its id."""
    card = write_model_card(MANIFEST, CLIPS, {"model": 17, "examples": 5})
    lines = card.splitlines()
    assert lines[0] == "# Version 3"
    for line in (
        "| accuracy on the test split | 0.912 |  |",
        "| recall@1 across source videos | 0.830 | 0.750 to 0.900 |",
        "| mAP@10 across source videos | 0.783 | 0.700 to 0.850 |",
        "| class | train | test | unlabeled |",
        "| Fall | 1 | 1 | 0 |",
        "| (none) | 0 | 0 | 1 |",
        "| epochs | 30 |",
        "| examples | 5 |",
        "| model | 17 |",
    ):
        assert line in lines, line
    assert "parent: version 2" in card and "`of-data`" in card and "`of-run`" in card
    assert "4 clips of 4 source videos" in card
    assert "| k |" not in card


def test_names_cannot_change_the_page():
    """A class named as markup is shown as it is; figures that are not known are left out."""
    clips = [{"class_name": "<script>x</script>|`a`[b](c)\n", "split": "train", "group": "g"}]
    metrics = {"accuracy": 0.5}
    plain = MANIFEST.__class__(**{**vars(MANIFEST), "metrics": metrics, "parent": None})
    card = write_model_card(plain, clips, {})
    assert r"| \<script\>x\</script\>\|\`a\`\[b\](c) | 1 |" in card.splitlines()
    assert "recall" not in card and "parent: none" in card


def test_accuracy_that_an_older_version_measured():
    """After a refresh the card says whose figure it is."""
    metrics = {"accuracy": 0.5, "accuracy_version": 3}
    refreshed = MANIFEST.__class__(**{**vars(MANIFEST), "metrics": metrics})
    card = write_model_card(refreshed, [], {})
    assert "| accuracy on the test split, measured by version 3 | 0.500 |  |" in card.splitlines()
