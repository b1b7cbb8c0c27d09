"""The published directory: what is live, what a version holds, asking it, going back.

```
<push_dir>/CURRENT             the live version's name; replaced atomically, last of all
<push_dir>/<version>/          one integer, rising; complete or invisible
    manifest.json              see `Manifest`
    model/                     SavedModel
    embeddings.parquet  neighbors.parquet  clips.parquet
    statistics.pb              TFDV's, of the training clips; older versions have none
    model_card.md              the version for people; older versions have none
    gallery/index.html         the page to look at; older versions have none
```
`push_dir` is a folder, `s3://bucket/prefix` or `gs://bucket/prefix`. Needs numpy, pyarrow, filelock
and, for buckets, obstore; so asking by clip id is quick.

```python
from components.published import open_published

with open_published("output/published") as live:
    for neighbor in live.recommend("v_Bounce_g01_c01", 5, min_score=0.8):
        print(neighbor.rank, neighbor.score, neighbor.clip_id)
```
"""

from components.published.directory import (
    current_version,
    list_versions,
    open_published,
    open_store,
    rollback,
)
from components.published.errors import (
    ConflictError,
    PublishedError,
    UnknownClipError,
    UnknownVersionError,
)
from components.published.manifest import FORMAT, Manifest, file_facts
from components.published.store import CURRENT_FILE, MANIFEST_FILE, Store
from components.published.version import (
    CLIPS_FILE,
    EMBEDDINGS_FILE,
    MODEL_CARD_FILE,
    MODEL_DIR,
    NEIGHBORS_FILE,
    STATISTICS_FILE,
    LibraryEmbeddings,
    Published,
    Recommendation,
)

__all__ = [
    "CLIPS_FILE",
    "CURRENT_FILE",
    "EMBEDDINGS_FILE",
    "FORMAT",
    "MANIFEST_FILE",
    "MODEL_CARD_FILE",
    "MODEL_DIR",
    "NEIGHBORS_FILE",
    "STATISTICS_FILE",
    "ConflictError",
    "LibraryEmbeddings",
    "Manifest",
    "Published",
    "PublishedError",
    "Recommendation",
    "Store",
    "UnknownClipError",
    "UnknownVersionError",
    "current_version",
    "file_facts",
    "list_versions",
    "open_published",
    "open_store",
    "rollback",
]
