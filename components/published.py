"""The published directory: what is live, what a version holds, and asking it.

```
<push_dir>/CURRENT             the live version's name; replaced atomically, last of all
<push_dir>/<version>/          one integer, rising; complete or invisible
    manifest.json              see `Manifest`
    model/                     SavedModel
    embeddings.parquet  neighbors.parquet  clips.parquet
    statistics.pb              TFDV's, of the training clips; older versions have none
```
Needs numpy and pyarrow alone, so that asking by clip id is quick.
"""

import dataclasses
import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

CURRENT_FILE = "CURRENT"
MANIFEST_FILE = "manifest.json"
MODEL_DIR = "model"
EMBEDDINGS_FILE = "embeddings.parquet"
NEIGHBORS_FILE = "neighbors.parquet"
CLIPS_FILE = "clips.parquet"
STATISTICS_FILE = "statistics.pb"

#: The layout that this module reads and writes.
FORMAT = 1

_VERSION_NAME = re.compile(r"[1-9][0-9]*")


class PublishedError(ValueError):
    """A published directory that cannot be read; the message is one line."""


class UnknownClipError(PublishedError):
    """A clip that the version does not have; the message suggests those of similar names."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a version is.

    Attributes:
      format: of the directory, `FORMAT`.
      version: its number.
      parent: the version that was live before it; None for the first.
      created: when, ISO 8601 in UTC.
      model_id: of the model, as in every row of embeddings.parquet.
      config: the settings of the run.
      metrics: accuracy and retrieval on the test split.
      data_fingerprint: of the clips.
      run_fingerprint: of settings, clips and code together.
      files: by path below the version, `{"bytes": int, "sha256": hex}`.
    """

    format: int
    version: int
    parent: int | None
    created: str
    model_id: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    data_fingerprint: str
    run_fingerprint: str
    files: dict[str, dict[str, Any]]


class Recommendation(NamedTuple):
    """A clip that is like the one asked for: rank from 1, score the cosine of the embeddings."""

    rank: int
    clip_id: str
    class_name: str
    score: float


class LibraryEmbeddings(NamedTuple):
    """The clips of a version, sorted by clip id, and their vectors.

    Attributes:
      clip_ids, class_names: [n].
      vectors: float32 [n, d], of unit norm.
    """

    clip_ids: list[str]
    class_names: list[str]
    vectors: np.ndarray


class Published:
    """One published version; see `open_published`.

    Attributes:
      path: its folder.
      manifest: what it is.
    """

    def __init__(self, path: Path, manifest: Manifest):
        """Use `open_published`."""
        self.path = path
        self.manifest = manifest

    @property
    def version(self) -> int:
        """Its number."""
        return self.manifest.version

    @property
    def model_dir(self) -> Path:
        """The SavedModel."""
        return self.path / MODEL_DIR

    @property
    def manifest_path(self) -> Path:
        """The manifest's file."""
        return self.path / MANIFEST_FILE

    def clip_ids(self) -> list[str]:
        """Returns the ids of all clips, sorted."""
        return sorted(self._read(CLIPS_FILE, columns=["clip_id"])["clip_id"].to_pylist())

    def class_names(self) -> dict[str, str]:
        """Returns each clip's class, by clip id."""
        table = self._read(CLIPS_FILE, columns=["clip_id", "class_name"])
        return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def embeddings(self) -> LibraryEmbeddings:
        """Returns all clips and their vectors."""
        table = self._read(EMBEDDINGS_FILE, columns=["clip_id", "class_name", "embedding"])
        table = table.sort_by("clip_id").combine_chunks()
        flat = table["embedding"].combine_chunks().flatten().to_numpy()
        return LibraryEmbeddings(
            table["clip_id"].to_pylist(),
            table["class_name"].to_pylist(),
            flat.reshape(table.num_rows, -1),
        )

    def recommend(self, clip_id: str, k: int | None = None) -> list[Recommendation]:
        """Returns the `k` nearest clips of a clip of the library, all that are known if None.

        Raises:
          UnknownClipError: the version has no such clip.
        """
        class_names = self.class_names()
        if clip_id not in class_names:
            close = difflib.get_close_matches(clip_id, class_names, n=3, cutoff=0.5)
            hint = f"; did you mean {', '.join(close)}?" if close else ""
            raise UnknownClipError(f"clip_id: version {self.version} has no {clip_id!r}{hint}")
        table = self._read(NEIGHBORS_FILE)
        rows = table.filter(pc.equal(table["query_id"], clip_id)).to_pylist()
        ranked = sorted(rows, key=lambda row: row["rank"])[:k]
        return [
            Recommendation(
                row["rank"], row["neighbor_id"], class_names[row["neighbor_id"]], row["score"]
            )
            for row in ranked
        ]

    def nearest(self, vector: np.ndarray, k: int) -> list[Recommendation]:
        """Returns the `k` clips nearest to a vector, exactly, by cosine; ties by clip id.

        Args:
          vector: float [d], finite and not zero, of the version's own model.
          k: how many, at most.

        Raises:
          ValueError: the vector has another length than the library's, or no direction.
        """
        clip_ids, class_names, vectors = self.embeddings()
        if np.shape(vector) != vectors.shape[1:]:
            raise ValueError(f"vector: expected shape {vectors.shape[1:]}; got {np.shape(vector)}")
        norm = np.linalg.norm(vector)
        if not np.isfinite(norm) or norm == 0:
            raise ValueError(f"vector: expected finite, not zero; got norm {norm}")
        unit = np.asarray(vector, np.float64) / norm
        # einsum adds up every row alike, so that equal vectors tie; a BLAS product does not.
        exact = np.einsum("nd,d->n", vectors.astype(np.float64), unit)
        scores = np.clip(exact, -1, 1).astype(np.float32)
        best = np.argsort(-scores, kind="stable")[:k]
        return [
            Recommendation(rank, clip_ids[row], class_names[row], float(scores[row]))
            for rank, row in enumerate(best, start=1)
        ]

    def verify(self) -> None:
        """Compares every file with the manifest; PublishedError at the first that differs."""
        for name, facts in self.manifest.files.items():
            path = self.path / name
            if not path.is_file():
                raise PublishedError(f"{path}: expected a file of the version; it is missing")
            if (found := file_facts(path)) != facts:
                raise PublishedError(f"{path}: expected {facts}; got {found}")

    def _read(self, name: str, columns: list[str] | None = None) -> Any:
        try:
            # Not `read_table`: it imports pandas, half of the time that an answer takes.
            with pq.ParquetFile(self.path / name) as file:
                return file.read(columns)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise PublishedError(f"{self.path / name}: cannot be read: {reason}") from error


def current_version(push_dir: str | Path) -> int | None:
    """Returns the live version's number; None where nothing is published.

    Raises:
      PublishedError: CURRENT cannot be read or holds no number.
    """
    path = Path(push_dir) / CURRENT_FILE
    try:
        text = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PublishedError(f"{path}: cannot be read: {error.strerror}") from error
    if not _VERSION_NAME.fullmatch(text):
        raise PublishedError(f"{path}: expected a version's number; got {text[:40]!r}")
    return int(text)


def list_versions(push_dir: str | Path) -> list[int]:
    """Returns the numbers of all complete versions, rising.

    The newest need not be live: its writer may have been killed before it switched CURRENT.
    """
    return sorted(
        int(path.parent.name)
        for path in Path(push_dir).glob(f"*/{MANIFEST_FILE}")
        if _VERSION_NAME.fullmatch(path.parent.name)
    )


def open_published(push_dir: str | Path, version: int | None = None) -> Published:
    """Opens a version.

    Args:
      push_dir: where versions are published.
      version: its number; None for the live one.

    Raises:
      PublishedError: nothing is published there, there is no such version, or its manifest
        cannot be read.
    """
    if version is None:
        version = current_version(push_dir)
    if version is None:
        raise PublishedError(f"push_dir: expected published versions; none in {push_dir}")
    path = Path(push_dir) / str(version)
    try:
        manifest = _read_manifest(path / MANIFEST_FILE)
    except FileNotFoundError as error:
        raise PublishedError(f"push_dir: there is no version {version} in {push_dir}") from error
    if manifest.version != version:
        raise PublishedError(
            f"{path / MANIFEST_FILE}: expected version {version}; got {manifest.version}"
        )
    return Published(path, manifest)


def _read_manifest(path: Path) -> Manifest:
    """Reads a manifest; FileNotFoundError where there is none."""
    try:
        facts = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PublishedError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PublishedError(f"{path}: expected JSON: {error}") from error
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != FORMAT:
        raise PublishedError(f"{path}: expected format {FORMAT}; got {found}")
    names = [field.name for field in dataclasses.fields(Manifest)]
    if missing := [name for name in names if name not in facts]:
        raise PublishedError(f"{path}: expected {', '.join(missing)}")
    for name in ("config", "metrics", "files"):
        if not isinstance(facts[name], dict):
            raise PublishedError(f"{path}: {name}: expected an object; got {facts[name]!r:.40}")
    return Manifest(**{name: facts[name] for name in names})


def file_facts(path: Path) -> dict[str, Any]:
    """Returns a file's size in bytes and its sha256, as the manifest holds them."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
