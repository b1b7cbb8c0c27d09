"""Names of the features that flow between stages, and the geometry of a clip.

The raw `tf.train.Example` (contract: `schema/schema.pbtxt`) holds the features below; Transform
turns them into the `*_xf` features that the network sees.
"""

CLIP_ID = "clip_id"  # bytes, e.g. v_Archery_g09_c03
GROUP = "group"  # bytes, the source video, e.g. Archery_g09
CLASS_NAME = "class_name"  # bytes, e.g. Archery; empty for an unlabeled clip
FRAMES = "frames"  # bytes [W * T], JPEG, RGB, square: W windows of T frames each
NUM_FRAMES = "num_frames"  # int64, frames that decode in the whole clip
WIDTH = "width"  # int64, pixels of the clip's own frames
HEIGHT = "height"  # int64, pixels of the clip's own frames
FPS = "fps"  # float, frames a second
DURATION_SEC = "duration_sec"  # float, seconds
BRIGHTNESS = "brightness"  # float in [0, 1], mean of the stored frames
MOTION = "motion"  # float in [0, 1], mean absolute difference of consecutive stored frames

# What Transform makes of them.
FRAMES_XF = "frames_xf"  # float32 [t, h, w, c] in [0, 1], of one window
LABEL_XF = "label_xf"  # int64, index into the class vocabulary, -1 for an unknown class

#: What StatisticsGen watches: everything but the pixels.
WATCHED = (
    CLIP_ID,
    GROUP,
    CLASS_NAME,
    NUM_FRAMES,
    WIDTH,
    HEIGHT,
    FPS,
    DURATION_SEC,
    BRIGHTNESS,
    MOTION,
)

#: Folder beside the splits: Parquet files of `clip_id` and `preview`, a WebP strip of the clip.
PREVIEWS_DIR = "previews"

#: In the evaluation: all of its figures.
RETRIEVAL_FILE = "retrieval.json"
#: In the training's logs: its losses and metrics, a row an epoch.
HISTORY_FILE = "history.json"

#: Splits of the labeled clips, in the order in which they are shown.
SPLITS = ("train", "eval", "test")
#: The split of the clips without a class: embedded and recommended, never trained on.
UNLABELED = "unlabeled"
