"""What lifts the embedding: augmentation, heads, windows, centering, whitening, on one budget.

Trains every kind for the same number of epochs on a sample library and measures retrieval across
groups. benchmarks/README.md explains the tables.
"""

import argparse
import functools
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import embedding_heads
import keras
import numpy as np
from embedding_heads import KINDS, TrainingClips

from components import features
from components.clip_example_gen import archive, clips, selection
from components.retrieval_evaluator import metrics
from pipeline import console
from pipeline.config import PipelineConfig

NUM_WINDOWS = 3
_BATCH_SIZE = 20


class Library(NamedTuple):
    """Decoded clips of one library, by split."""

    splits: dict[str, TrainingClips]
    class_names: tuple[str, ...]


class Vectors(NamedTuple):
    """Unit vectors of clips, float32 [n, windows, d], and their labels, by split."""

    vectors: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]


def read_library(path: Path, image_size: int) -> Library:
    """Decodes all clips of a zip on this machine, split by UCF101's official split 1."""
    config = PipelineConfig()
    with archive.open_archive(str(path)) as opened:
        assigned = selection.select(
            opened,
            classes=len({Path(entry.member).parent for entry in opened.entries()}),
            split="ucf101-1",
            split_fractions=config.split_fractions,
            clips_per_class=config.clips_per_class,
            seed=config.seed,
        ).assigned
    names = tuple(sorted({ref.class_name for refs in assigned.values() for ref in refs}))
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as members:

        def decode(member: str) -> np.ndarray:
            clip = clips.decode(
                Path(folder, member),
                num_frames=config.num_frames,
                frame_step=config.frame_step,
                image_size=image_size,
                num_windows=NUM_WINDOWS,
            )
            return clip.frames.reshape(NUM_WINDOWS, config.num_frames, *clip.frames.shape[1:])

        members.extractall(folder)
        with ThreadPoolExecutor() as pool:
            splits = {
                split: TrainingClips(
                    np.stack(list(pool.map(decode, [ref.member for ref in refs]))),
                    np.array([names.index(ref.class_name) for ref in refs]),
                )
                for split, refs in assigned.items()
            }
    return Library(splits, names)


def embed(network: keras.Model, library: Library) -> Vectors:
    """Embeds every window of every clip."""
    vectors = {}
    for split, (frames, _) in library.splits.items():
        windows = frames.reshape(-1, *frames.shape[2:])
        parts = [
            keras.ops.convert_to_numpy(network(part.astype(np.float32) / 255.0, training=False))
            for part in np.array_split(windows, -(-len(windows) // _BATCH_SIZE))
        ]
        vectors[split] = unit(np.concatenate(parts)).reshape(*frames.shape[:2], -1)
    return Vectors(vectors, {split: part.labels for split, part in library.splits.items()})


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales the last axis to norm 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def middle(windows: np.ndarray, _: np.ndarray) -> np.ndarray:
    """The middle window alone, the seed system's form."""
    return windows[:, NUM_WINDOWS // 2]


def mean(windows: np.ndarray, _: np.ndarray) -> np.ndarray:
    """The mean over the windows."""
    return windows.mean(axis=1)


def centered(windows: np.ndarray, train: np.ndarray, form: Callable = mean) -> np.ndarray:
    """`form`, minus its mean on the train split."""
    return form(windows, train) - form(train, train).mean(axis=0)


def whitened(
    windows: np.ndarray, train: np.ndarray, shrinkage: float, form: Callable = mean
) -> np.ndarray:
    """`form`, whitened along the principal axes of the train split.

    Variances are enlarged by `shrinkage` times their mean.
    """
    known = form(train, train)
    variances, axes = np.linalg.eigh(np.cov(known, rowvar=False))
    variances = np.maximum(variances, 0) + shrinkage * variances.mean()
    return (form(windows, train) - known.mean(axis=0)) @ axes / np.sqrt(variances)


#: Embeddings [n, d], made of unit vectors [n, windows, d] and of those of the train split.
FORMS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "middle window": middle,
    "3 windows": mean,
    "middle, centered": functools.partial(centered, form=middle),
    "3 windows, centered": centered,
    "3 windows, whitened, shrinkage 0.1": functools.partial(whitened, shrinkage=0.1),
    "3 windows, whitened, shrinkage 1": functools.partial(whitened, shrinkage=1.0),
}


def measure(found: Vectors, form: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns recall@1 and mAP@10: queries of the test split, gallery train and eval."""
    made = {
        split: unit(form(part, found.vectors["train"])) for split, part in found.vectors.items()
    }
    gallery = [split for split in features.SPLITS if split != "test" and split in made]
    measured = metrics.evaluate_retrieval(
        made["test"],
        [str(label) for label in found.labels["test"]],
        np.concatenate([made[split] for split in gallery]),
        [str(label) for split in gallery for label in found.labels[split]],
    )
    return np.array([measured.recall[1], measured.mean_average_precision])


def compare(
    library: Library,
    names: Sequence[str],
    epochs: int,
    seeds: Sequence[int],
    say: Callable[[str], None],
) -> tuple[list[list[str]], list[list[str]]]:
    """Trains every kind with every seed; returns the rows of kinds, and of the first's forms."""
    kinds: list[list[str]] = []
    forms: list[list[str]] = []
    for name in names:
        trained = [
            embedding_heads.train(
                library.splits["train"],
                KINDS[name],
                num_classes=len(library.class_names),
                epochs=epochs,
                seed=seed,
            )
            for seed in seeds
        ]
        vectors = [embed(network, library) for network, _ in trained]
        seconds = np.mean([seconds for _, seconds in trained])
        figures = {
            form: np.mean([measure(each, make) for each in vectors], axis=0)
            for form, make in FORMS.items()
        }
        kinds.append(
            [name, *map(_shown, (figures["middle window"], figures["3 windows"])), f"{seconds:.0f}"]
        )
        forms = forms or [[form, _shown(figure)] for form, figure in figures.items()]
        say(f"{name}: {kinds[-1][2]}")
    return kinds, forms


def _shown(figures: np.ndarray) -> str:
    return " / ".join(f"{figure:.3f}" for figure in figures)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--library", type=Path, metavar="ZIP", help="as of sample_library; default: it is made")
    add("--plain", action="store_true", help="make the plain variant, not the hard one")
    add("--kind", action="append", choices=KINDS, help="of training; repeatable; default: all")
    add("--epochs", type=int, default=30, metavar="N", help="default: %(default)s")
    add("--seed", type=int, action="append", metavar="N", help="repeatable; default: 0")
    add("--image-size", type=int, default=64, metavar="N", help="pixels; default: %(default)s")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, measures and prints two tables."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    if args.epochs < 1 or args.image_size < 32:
        parser.error("--epochs: expected 1 or more; --image-size: 32 or more")
    if args.library and not args.library.is_file():
        parser.error(f"--library: expected a zip; there is none at {args.library}")
    seeds = args.seed or [0]
    screen = console.make_console(sys.stdout)
    say = functools.partial(screen.print, markup=False)
    with tempfile.TemporaryDirectory() as folder:
        path = args.library
        if path is None:
            import sample_library

            say("making the sample library")
            path = sample_library.make_library(Path(folder, "library.zip"), hard=not args.plain)
        library = read_library(path, args.image_size)
    names = args.kind or list(KINDS)
    kinds, forms = compare(library, names, args.epochs, seeds, say)
    say(f"\nrecall@1 / mAP@10 after {args.epochs} epochs, seeds {', '.join(map(str, seeds))}")
    console.print_table(screen, ("training", "middle window", "3 windows", "CPU s"), kinds)
    console.print_table(screen, (f"forms of {names[0]}", "recall@1 / mAP@10"), forms)


if __name__ == "__main__":
    main()
