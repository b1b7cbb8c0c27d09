"""Anomalies in words, made by TFDV itself."""

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv

from components.example_validator import report

SCHEMA = "schema/schema.pbtxt"


def statistics(**changed):
    columns = {
        "clip_id": [f"v_A_g{i:02d}_c01" for i in range(8)],
        "group": [f"A_g{i:02d}" for i in range(8)],
        "class_name": ["A"] * 8,
        "num_frames": np.full(8, 90),
        "width": np.full(8, 320),
        "height": np.full(8, 240),
        "fps": np.full(8, 25.0),
        "duration_sec": np.full(8, 3.6),
        "brightness": np.full(8, 0.5),
        "motion": np.full(8, 0.1),
    }
    columns = {key: value for key, value in (columns | changed).items() if value is not None}
    return tfdv.generate_statistics_from_dataframe(pd.DataFrame(columns))


def described(**changed):
    schema = tfdv.load_schema_text(SCHEMA)
    sound = tfdv.validate_statistics(statistics(), schema)
    changed = tfdv.validate_statistics(statistics(**changed), schema)
    return report.describe({"train": sound, "test": changed})


def test_sound_data_have_no_anomaly():
    """Statistics as ClipExampleGen's Examples have them pass the curated schema."""
    assert described() == []


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        ("fps", np.full(8, -1.0)),
        ("duration_sec", np.full(8, -1.0)),
        ("brightness", np.full(8, 1.5)),
        ("num_frames", np.zeros(8, np.int64)),
        ("width", None),
        ("surprise", np.ones(8)),
    ],
)
def test_names_split_and_feature(feature, values):
    """Each anomaly is told by its split and its feature, and the sound split is not named."""
    (line,) = described(**{feature: values})
    assert line.startswith(f"split test, feature {feature}: ")
    assert len(line) > len(f"split test, feature {feature}: ")
