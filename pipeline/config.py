"""`PipelineConfig`: every knob of the pipeline, with its unit and bounds, checked once."""

import dataclasses
import hashlib
import json
import math
import shlex
from pathlib import Path
from typing import Any

from components.bulk_inferrer.settings import ENGINES
from components.clip_example_gen import splits
from components.trainer.settings import OPTIMIZERS, PRECISIONS
from pipeline.knobs import (
    check,
    knob,
    number,
    parse_classes,
    parse_clips_per_class,
    parse_fractions,
    switch,
    whole,
)

#: Folders below the output folder, where no other place is given.
_FOLDERS = {"push_dir": "published", "store_dir": "clip_store", "checkpoint_dir": "checkpoints"}
#: Of this project's code: Python, and the gallery's page.
_SOURCES = frozenset((".py", ".html", ".css", ".js"))


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """One run's settings. Raises ValueError that names the field, the bounds and the value."""

    source: str = knob(
        "",
        "clips: a zip or a folder, local or s3:// or gs://, or an http(s) zip, read by ranges; "
        "default: the sample library, made on the first run",
        metavar="SOURCE",
    )
    output_dir: str = knob(
        "output",
        "pipeline root, metadata database, log, and published/",
        metavar="DIR",
        shapes_result=False,
    )
    push_dir: str = knob(
        "",
        "where versions are published: a folder, s3:// or gs://; default: OUTPUT_DIR/published",
        metavar="DIR",
        shapes_result=False,
    )
    keep_versions: int = whole(
        10,
        "versions that are kept, besides the live one, the one before it, and those being read",
        1,
        100_000,
        shapes_result=False,
    )
    store_dir: str = knob(
        "",
        "where decoded clips are kept from run to run; default: OUTPUT_DIR/clip_store",
        metavar="DIR",
        shapes_result=False,
    )
    checkpoint_dir: str = knob(
        "",
        "where a training that is killed goes on from; default: OUTPUT_DIR/checkpoints",
        metavar="DIR",
        shapes_result=False,
    )
    on_finish: str = knob(
        "",
        "run when a run has ended, without a shell; gets the result as JSON on standard input",
        metavar="COMMAND",
        shapes_result=False,
    )
    data_version: str = knob(
        "",
        "any text; another one makes a run train and publish although no clip changed",
        metavar="TEXT",
    )
    classes: int | str | tuple[str, ...] = knob(
        10,
        "how many classes, first by name, or their names, comma-separated, or all",
        parse=parse_classes,
        metavar="N|NAMES|all",
    )
    clips_per_class: tuple[int, ...] = knob(
        (30, 10, 10),
        "at most so many clips of a class for train,eval,test",
        parse=parse_clips_per_class,
        metavar="N,N,N",
    )
    split: str = knob(
        "ucf101-1",
        "rule that assigns whole groups to splits",
        choices=splits.SPLIT_METHODS,
        metavar="RULE",
    )
    split_fractions: tuple[float, ...] = knob(
        (0.6, 0.2, 0.2),
        "shares of the groups for train,eval,test under group-hash",
        parse=parse_fractions,
        metavar="X,X,X",
    )
    max_reject_fraction: float = number(0.01, "share of the clips that may be unusable", 0, 1)
    fetch_workers: int = whole(
        8, "clips fetched at once, by each Beam worker", 1, 256, shapes_result=False
    )
    fetch_timeout: float = number(
        300.0,
        "seconds that fetching one clip may take, retries included",
        1,
        86_400,
        shapes_result=False,
    )
    num_frames: int = whole(10, "frames sampled from a clip", 2, 64)
    num_windows: int = whole(
        3, "windows sampled from a clip, whose embeddings are averaged; 1: its middle alone", 1, 16
    )
    frame_step: int = whole(15, "frames between samples; shrinks to fit short clips", 1, 1000)
    image_size: int = whole(
        224,
        "height and width of the network's input, in pixels; the sample library's default is 64",
        32,
        512,
    )
    epochs: int = whole(30, "passes over the training clips", 1, 10_000)
    batch_size: int = whole(8, "clips in a training step", 1, 1024)
    optimizer: str = knob(
        "adamw", "what updates the weights", choices=OPTIMIZERS, metavar="OPTIMIZER"
    )
    learning_rate: float = number(1e-3, "peak learning rate", 1e-7, 10.0)
    weight_decay: float = number(0.01, "decoupled weight decay", 0, 1)
    label_smoothing: float = number(0.0, "share of a label spread over all classes", 0, 0.9)
    balance_classes: bool = switch(False, "weigh clips so that all classes count alike")
    augment_crop: float = number(
        0.06, "share of a frame by which training clips are shifted", 0, 0.5
    )
    augment_flip: bool = switch(
        False, "mirror training clips; only where left and right mean the same"
    )
    augment_color: float = number(0.2, "how strongly training clips' colors are changed", 0, 1)
    temporal_jitter: float = number(
        0.2, "share of training clips' frames that may be cut off", 0, 0.9
    )
    patience: int = whole(
        10, "epochs without a lower eval loss that end training; 0: never", 0, 10_000
    )
    precision: str = knob(
        "auto",
        "of the training's arithmetic; auto: what this machine is fastest with",
        choices=PRECISIONS,
        metavar="PRECISION",
    )
    warm_start: bool = switch(False, "begin with the published model's weights")
    refresh: bool = switch(
        False, "train nothing: embed new clips with the published model, keep all other vectors"
    )
    seed: int = whole(42, "seed of everything that is drawn", 0, 2**31 - 1)
    embed_engine: str = knob(
        "auto",
        "what computes embeddings; auto: TensorFlow on GPUs, else OpenVINO where it is installed "
        "and finds the neighbors that TensorFlow finds",
        choices=ENGINES,
        metavar="ENGINE",
    )
    k: int = whole(10, "neighbors of each clip, at most", 1, 1000)
    min_score: float = number(-1.0, "lowest score of a neighbor", -1, 1)
    exclude_group: bool = switch(True, "no neighbors of the clip's own source video")
    one_per_group: bool = switch(False, "of any source video, the nearest clip alone")
    exact_limit: int = whole(
        200_000, "clips up to which the search is exact; above, an index is searched", 1, 10**9
    )
    min_index_recall: float = number(
        0.99, "share of the true neighbors that the index must find", 0, 1
    )
    min_accuracy: float = number(0.3, "test accuracy below which nothing is published", 0, 1)
    min_recall: float = number(0.3, "recall@1 below which nothing is published", 0, 1)
    max_recall_drop: float = number(
        0.05, "how far recall@1 may fall below the published model's", 0, 1
    )
    min_class_recall: float = number(
        0.05, "recall@1 of a class of 5 test clips or more below which nothing is published", 0, 1
    )
    max_class_recall_drop: float = number(
        0.5, "how far recall@1 of such a class may fall below the published model's", 0, 1
    )
    max_drift: float = number(
        0.4, "Jensen-Shannon divergence from the published model's data that stops a run", 0, 1
    )
    max_class_drift: float = number(
        0.2, "how far a class's share may be from that in the published model's data", 0, 1
    )
    beam_args: tuple[str, ...] = knob(
        (),
        "an option for Beam, such as --runner=FlinkRunner; repeatable",
        metavar="ARG",
        repeatable=True,
        shapes_result=False,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check(field, getattr(self, field.name))
        if isinstance(self.classes, int) and self.classes < 2:
            raise ValueError(f"classes: expected 2 or more, or names; got {self.classes}")
        if isinstance(self.classes, tuple) and len(set(self.classes)) < 2:
            raise ValueError(f"classes: expected 2 or more different names; got {self.classes}")
        if self.warm_start and self.refresh:
            raise ValueError("refresh: expected no warm_start beside it; nothing is trained")
        _check_command(self.on_finish)
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
        for name, folder in _FOLDERS.items():
            if not getattr(self, name):
                object.__setattr__(self, name, join(self.output_dir, folder))

    def result_settings(self) -> dict[str, Any]:
        """Returns, ready for JSON, the settings on which the published result depends."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.metadata["shapes_result"]
        }

    def fingerprint(self, data_version: str, code_version: str, **others: Any) -> str:
        """Returns a sha256 hex digest of all that decides what a run publishes.

        Args:
          data_version: the source's fingerprint.
          code_version: of all code that takes part.
          **others: settings that take the place of this run's.
        """
        facts = [self.result_settings() | others, data_version, code_version]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _check_command(command: str) -> None:
    """Raises ValueError where a command line cannot be taken apart."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"on_finish: expected a command; got {command!r}: {error}") from error
    if command and not words:
        raise ValueError(f"on_finish: expected a command; got {command!r}")


def join(folder: str, name: str) -> str:
    """Returns the path of a name in a folder, or its URL where the folder is one."""
    return f"{folder.rstrip('/')}/{name}" if "://" in folder else str(Path(folder) / name)


def code_version(*packages: str) -> str:
    """Returns a sha256 hex digest of the source of this project's `packages`, e.g. "components".

    TFX's cache does not look into dotted `run_fn`s and executors; stages carry this digest among
    their properties, so that changed code is run again.
    """
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in packages:
        path = root / package
        files = sorted(file for file in path.rglob("*") if file.suffix in _SOURCES)
        for file in files if path.is_dir() else [path]:
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
