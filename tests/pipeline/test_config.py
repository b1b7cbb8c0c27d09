"""PipelineConfig: bounds, defaults, fingerprints."""

import pytest

from pipeline import config
from pipeline.config import PipelineConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, r"k: expected 1 to 1000; got 0"),
        ({"image_size": 10}, r"image_size: expected 32 to 512; got 10"),
        ({"num_frames": 1}, r"num_frames: expected 2 to 64; got 1"),
        ({"min_recall": 1.5}, r"min_recall: expected 0 to 1; got 1.5"),
        ({"split": "random"}, r"split: expected one of ucf101-1, .*group-hash; got 'random'"),
        ({"optimizer": "adam"}, r"optimizer: expected one of adamw, sgd; got 'adam'"),
        ({"precision": "int8"}, r"precision: expected one of auto, float32, .*; got 'int8'"),
        ({"augment_crop": 0.6}, r"augment_crop: expected 0 to 0.5; got 0.6"),
        ({"num_windows": 0}, r"num_windows: expected 1 to 16; got 0"),
        ({"max_class_recall_drop": -0.1}, r"max_class_recall_drop: expected 0 to 1; got -0.1"),
        ({"classes": 1}, r"classes: expected 2 or more, or names; got 1"),
        ({"classes": ("Diving",)}, r"classes: expected 2 or more different names"),
        ({"clips_per_class": (30, 10)}, r"clips_per_class: expected three numbers"),
        ({"clips_per_class": (30, 0, 10)}, r"clips_per_class: expected three numbers"),
        ({"refresh": True, "warm_start": True}, r"refresh: expected no warm_start beside it"),
        ({"on_finish": "mail 'me"}, r"on_finish: expected a command; got .*No closing quotation"),
        ({"on_finish": " "}, r"on_finish: expected a command; got ' '"),
    ],
)
def test_out_of_bounds(settings, message):
    """A value out of bounds is refused by name, with the bounds and the value."""
    with pytest.raises(ValueError, match=message):
        PipelineConfig(**settings)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("push_dir", "published"), ("store_dir", "clip_store"), ("checkpoint_dir", "checkpoints")],
)
def test_folders_follow_output_dir(name, folder):
    """They are below the output folder unless another place is named."""
    assert getattr(PipelineConfig(output_dir="here"), name) == f"here/{folder}"
    assert getattr(PipelineConfig(**{"output_dir": "here", name: "there"}), name) == "there"


def test_fingerprint_sees_what_shapes_the_result():
    """Settings, data and code change the fingerprint; places and Beam's options do not."""
    base = PipelineConfig(source="clips.zip")
    same = PipelineConfig(
        source="clips.zip", output_dir="elsewhere", beam_args=("--x=1",), on_finish="mail me"
    )
    assert same.fingerprint("data", "code") == base.fingerprint("data", "code")
    others = {
        PipelineConfig(source="clips.zip", k=9).fingerprint("data", "code"),
        PipelineConfig(source="clips.zip", augment_flip=True).fingerprint("data", "code"),
        base.fingerprint("other data", "code"),
        base.fingerprint("data", "other code"),
        base.fingerprint("data", "code"),
    }
    assert len(others) == 5
    assert base.fingerprint("data", "code", k=9) in others


def test_code_version_reads_the_sources():
    """Different packages have different digests, and one package always the same."""
    trainer = config.code_version("components/trainer")
    assert trainer == config.code_version("components/trainer")
    assert trainer != config.code_version("components/transform")
    page = config.code_version("components/pusher/page")
    assert page not in (config.code_version(), config.code_version("components/pusher/page/app.js"))
    assert trainer != config.code_version("components/trainer", "components/features.py")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10", 10), ("-3", -3), ("Diving, Archery", ("Diving", "Archery")), (" all ", "all")],
)
def test_parse_classes(text, expected):
    """A number counts classes; "all" is all of them; anything else names them."""
    assert config.parse_classes(text) == expected
