"""The library: clips of all classes and groups in one zip, laid out as UCF101 is."""

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np

from components.progress import report
from sample_library.clips import draw_frames, write_clip
from sample_library.disturbances import draw_disturbance
from sample_library.looks import Look, draw_look
from sample_library.motions import MOTIONS, draw_path

#: Clips of each group of a class, 50 in all. By UCF101's official split 1, groups 01-07 (10 clips)
#: are the test split; of the others, 08-20 (30 clips) can train and 21-25 (10 clips) evaluate.
CLIPS_PER_GROUP: Mapping[int, int] = MappingProxyType(
    dict.fromkeys(range(1, 26), 2)
    | dict.fromkeys((2, 4, 5, 7), 1)
    | dict.fromkeys((9, 12, 15, 18), 3)
)
#: Frames of a clip, at the least and at the most.
NUM_FRAMES = (60, 120)
#: The seed of the library that the pipeline uses by default.
SEED = 0

_ZIP_TIME = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the earliest that a zip can hold; a clock would change the bytes


class ClipSpec(NamedTuple):
    """What is to be drawn as a clip; numbers of groups and clips count from 1."""

    class_name: str
    group: int
    clip: int

    @property
    def member(self) -> str:
        """The clip's name in the zip."""
        name = f"v_{self.class_name}_g{self.group:02d}_c{self.clip:02d}.avi"
        return f"UCF-101/{self.class_name}/{name}"


def make_library(
    path: str | os.PathLike[str],
    *,
    seed: int = SEED,
    classes: Sequence[str] = tuple(MOTIONS),
    clips_per_group: Mapping[int, int] = CLIPS_PER_GROUP,
    num_frames: tuple[int, int] = NUM_FRAMES,
    hard: bool = False,
) -> Path:
    """Makes a zip of synthetic clips, `UCF-101/<Class>/v_<Class>_g<NN>_c<NN>.avi`, stored.

    The clips are 320x240 XviD AVI files of 25 frames a second. The same arguments give the same
    bytes with the same version of OpenCV. A clip depends on its own name and the seed alone. The
    zip appears under its name when it is complete, and replaces what was there.

    Args:
      path: of the zip; its folder is made if need be.
      seed: at least 0.
      classes: names out of `MOTIONS`.
      clips_per_group: number of clips of each group, by number of the group (1 to 99).
      num_frames: frames of a clip, at the least (2 or more) and at the most.
      hard: the same clips, with more noise, camera shake, distractors and something before the
        thing.

    Returns:
      `path`.

    Raises:
      ValueError: an argument is out of its bounds.
      RuntimeError: OpenCV cannot write XviD AVI files.
    """
    _check(seed, classes, clips_per_group, num_frames)
    specs = [
        ClipSpec(class_name, group, clip)
        for class_name in sorted(set(classes))
        for group, count in sorted(clips_per_group.items())
        for clip in range(1, count + 1)
    ]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        partial = Path(folder, "library.zip")
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            clips = _made_clips(specs, seed, num_frames, hard, Path(folder))
            for done, (spec, content) in enumerate(clips, start=1):
                archive.writestr(zipfile.ZipInfo(spec.member, _ZIP_TIME), content)
                report("clips", done, len(specs))
        os.replace(partial, path)
    return path


def _check(
    seed: int,
    classes: Sequence[str],
    clips_per_group: Mapping[int, int],
    num_frames: tuple[int, int],
) -> None:
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    unknown = sorted(set(classes) - set(MOTIONS))
    if unknown or not classes:
        raise ValueError(f"classes must be names out of {', '.join(MOTIONS)}, got {list(classes)}")
    if not clips_per_group or not all(
        1 <= group <= 99 and 1 <= count <= 99 for group, count in clips_per_group.items()
    ):
        raise ValueError(
            "clips_per_group must map numbers of groups to numbers of clips, all from 1 to 99, "
            f"got {dict(clips_per_group)}"
        )
    if not 2 <= num_frames[0] <= num_frames[1]:
        raise ValueError(f"num_frames must be (least, most), 2 <= least <= most, got {num_frames}")


def _made_clips(
    specs: list[ClipSpec], seed: int, num_frames: tuple[int, int], hard: bool, folder: Path
) -> Iterator[tuple[ClipSpec, bytes]]:
    """Yields the clips in the order of `specs`, drawn in threads: OpenCV releases the GIL."""
    look_of_group = lru_cache(maxsize=32)(lambda key: _draw_group_look(seed, *key))

    def make(spec: ClipSpec) -> bytes:
        look = look_of_group((spec.class_name, spec.group))
        rng = _generator(seed, spec.class_name, spec.group, spec.clip)
        length = int(rng.integers(num_frames[0], num_frames[1] + 1))
        path = draw_path(MOTIONS[spec.class_name], length, rng)
        # Drawn last, from a generator of its own: what both variants have is the same in both.
        disturbance = draw_disturbance(length, rng.spawn(1)[0]) if hard else None
        file = folder / Path(spec.member).name
        write_clip(file, draw_frames(look, path, rng, disturbance))
        content = file.read_bytes()
        file.unlink()
        return content

    with _single_threaded_opencv(), ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(specs, pool.map(make, specs), strict=True)


def _draw_group_look(seed: int, class_name: str, group: int) -> Look:
    return draw_look(_generator(seed, class_name, group, 0))


def _generator(seed: int, class_name: str, group: int, clip: int) -> np.random.Generator:
    """Returns the generator of a clip, or, for clip 0, of its group's look."""
    return np.random.default_rng([seed, *class_name.encode(), group, clip])


@contextlib.contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Keeps OpenCV from starting threads of its own beside ours, which would only be in the way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
