"""The sample library: a zip of synthetic clips in the shape of UCF101, made on this machine.

Its classes are motions (`MOTIONS`), its groups are looks. Colors, textures, shapes, positions,
sizes, orientations and brightness are distributed alike in all classes, so that only motion tells
the class.
"""

from sample_library.library import CLIPS_PER_GROUP, SEED, make_library
from sample_library.motions import MOTIONS

__all__ = ["CLIPS_PER_GROUP", "MOTIONS", "SEED", "make_library"]
