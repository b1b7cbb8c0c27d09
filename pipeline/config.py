"""`PipelineConfig`: every knob of the pipeline, with its unit and bounds, checked once."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.clip_example_gen import splits


def parse_classes(text: str) -> int | tuple[str, ...]:
    """Reads `"10"` as the first ten classes, `"Archery,Diving"` as these two."""
    text = text.strip()
    if text.lstrip("-").isdigit():
        return int(text)
    return tuple(name.strip() for name in text.split(","))


def parse_fractions(text: str) -> tuple[float, ...]:
    """Reads `"0.6,0.2,0.2"`."""
    return tuple(float(part) for part in text.split(","))


def parse_clips_per_class(text: str) -> tuple[int, ...]:
    """Reads `"30,10,10"`."""
    return tuple(int(part) for part in text.split(","))


def _knob(
    default: Any,
    help: str,
    *,
    parse: Callable[[str], Any] = str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    metavar: str = "N",
    repeatable: bool = False,
    shapes_result: bool = True,
) -> Any:
    """Declares a field: its default, and what the command line and the checks need to know."""
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "parse": parse,
            "low": low,
            "high": high,
            "choices": choices,
            "metavar": metavar,
            "repeatable": repeatable,
            "shapes_result": shapes_result,
        },
    )


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """One run's settings. Raises ValueError that names the field, the bounds and the value."""

    source: str = _knob(
        "",
        "clips: a zip or a folder, local or s3:// or gs://, or an http(s) zip, read by ranges; "
        "default: the sample library, made on the first run",
        metavar="SOURCE",
    )
    output_dir: str = _knob(
        "output",
        "pipeline root, metadata database, log, and published/",
        metavar="DIR",
        shapes_result=False,
    )
    push_dir: str = _knob(
        "",
        "where versions are published; default: OUTPUT_DIR/published",
        metavar="DIR",
        shapes_result=False,
    )
    store_dir: str = _knob(
        "",
        "where decoded clips are kept from run to run; default: OUTPUT_DIR/clip_store",
        metavar="DIR",
        shapes_result=False,
    )
    classes: int | tuple[str, ...] = _knob(
        10,
        "how many classes, first by name, or their names, comma-separated",
        parse=parse_classes,
        metavar="N|NAMES",
    )
    clips_per_class: tuple[int, ...] = _knob(
        (30, 10, 10),
        "at most so many clips of a class for train,eval,test",
        parse=parse_clips_per_class,
        metavar="N,N,N",
    )
    split: str = _knob(
        "ucf101-1",
        "rule that assigns whole groups to splits",
        choices=splits.SPLIT_METHODS,
        metavar="RULE",
    )
    split_fractions: tuple[float, ...] = _knob(
        (0.6, 0.2, 0.2),
        "shares of the groups for train,eval,test under group-hash",
        parse=parse_fractions,
        metavar="X,X,X",
    )
    max_reject_fraction: float = _knob(
        0.01, "share of the clips that may be unusable", parse=float, low=0, high=1, metavar="X"
    )
    fetch_workers: int = _knob(
        8, "clips on their way at once, for each Beam worker", parse=int, low=1, high=256,
        shapes_result=False,
    )  # fmt: skip
    fetch_timeout: float = _knob(
        300.0, "seconds that fetching one clip may take, retries included", parse=float, low=1,
        high=86_400, shapes_result=False,
    )  # fmt: skip
    num_frames: int = _knob(10, "frames sampled from a clip", parse=int, low=2, high=64)
    frame_step: int = _knob(
        15, "frames between samples; shrinks to fit short clips", parse=int, low=1, high=1000
    )
    image_size: int = _knob(
        224,
        "height and width of the network's input, in pixels; the sample library's default is 64",
        parse=int,
        low=32,
        high=512,
    )
    epochs: int = _knob(30, "passes over the training clips", parse=int, low=1, high=10_000)
    batch_size: int = _knob(8, "clips in a training step", parse=int, low=1, high=1024)
    learning_rate: float = _knob(
        1e-3, "peak learning rate", parse=float, low=1e-7, high=1.0, metavar="X"
    )
    seed: int = _knob(42, "seed of everything that is drawn", parse=int, low=0, high=2**31 - 1)
    k: int = _knob(10, "neighbors of each clip", parse=int, low=1, high=1000)
    min_accuracy: float = _knob(
        0.3, "test accuracy below which nothing is published", parse=float, low=0, high=1,
        metavar="X",
    )  # fmt: skip
    min_recall: float = _knob(
        0.3, "recall@1 below which nothing is published", parse=float, low=0, high=1, metavar="X"
    )
    max_recall_drop: float = _knob(
        0.05,
        "how far recall@1 may fall below the published model's",
        parse=float,
        low=0,
        high=1,
        metavar="X",
    )
    beam_args: tuple[str, ...] = _knob(
        (),
        "an option for Beam, such as --runner=FlinkRunner; repeatable",
        metavar="ARG",
        repeatable=True,
        shapes_result=False,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        if isinstance(self.classes, int) and self.classes < 2:
            raise ValueError(f"classes: expected 2 or more, or names; got {self.classes}")
        if not isinstance(self.classes, int) and len(set(self.classes)) < 2:
            raise ValueError(f"classes: expected 2 or more different names; got {self.classes}")
        for argument in self.beam_args:
            if not argument.startswith("--"):
                raise ValueError(f"beam_args: expected --name or --name=value; got {argument!r}")
        if len(self.clips_per_class) != 3 or min(self.clips_per_class) < 1:
            raise ValueError(
                "clips_per_class: expected three numbers of 1 or more (train,eval,test); "
                f"got {self.clips_per_class}"
            )
        if len(self.split_fractions) != 3 or not all(
            0 < f < math.inf for f in self.split_fractions
        ):
            raise ValueError(
                "split_fractions: expected three numbers above 0 (train,eval,test); "
                f"got {self.split_fractions}"
            )
        for name, folder in (("push_dir", "published"), ("store_dir", "clip_store")):
            if not getattr(self, name):
                object.__setattr__(self, name, str(Path(self.output_dir) / folder))

    def result_settings(self) -> dict[str, Any]:
        """Returns, ready for JSON, the settings on which the published result depends."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.metadata["shapes_result"]
        }

    def fingerprint(self, data_version: str, code_version: str) -> str:
        """Returns a sha256 hex digest of all that decides what a run publishes."""
        facts = [self.result_settings(), data_version, code_version]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _check(field: dataclasses.Field, value: Any) -> None:
    low, high, choices = (field.metadata[name] for name in ("low", "high", "choices"))
    if low is not None and not low <= value <= high:
        raise ValueError(f"{field.name}: expected {low} to {high}; got {value}")
    if choices and value not in choices:
        raise ValueError(f"{field.name}: expected one of {', '.join(choices)}; got {value!r}")


def code_version(*packages: str) -> str:
    """Returns a sha256 hex digest of the source of this project's `packages`, e.g. "components".

    TFX's cache does not look into dotted `run_fn`s and executors; stages carry this digest among
    their properties, so that changed code is run again.
    """
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in packages:
        path = root / package
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
