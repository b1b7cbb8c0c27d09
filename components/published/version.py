"""One published version: its tables, its model, and what is like a clip."""

import contextlib
import difflib
import numbers
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.published.errors import PublishedError, UnknownClipError
from components.published.manifest import Manifest, file_facts
from components.published.store import Store

MODEL_DIR = "model"
EMBEDDINGS_FILE = "embeddings.parquet"
NEIGHBORS_FILE = "neighbors.parquet"
CLIPS_FILE = "clips.parquet"
STATISTICS_FILE = "statistics.pb"
MODEL_CARD_FILE = "model_card.md"


class Recommendation(NamedTuple):
    """A clip that is like the one asked for: rank from 1, score the cosine of the embeddings."""

    rank: int
    clip_id: str
    class_name: str
    score: float


class LibraryEmbeddings(NamedTuple):
    """The clips of a version, sorted by clip id, and their vectors.

    Attributes:
      clip_ids, class_names, groups: [n].
      vectors: float32 [n, d], of unit norm.
    """

    clip_ids: list[str]
    class_names: list[str]
    groups: list[str]
    vectors: np.ndarray


class Published:
    """One published version; see `open_published`. A context manager: closing it lets go.

    As long as it is open, the version is not deleted (in a folder; in a bucket, for an hour after
    another is live).

    Attributes:
      manifest: what it is.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        manifest: Manifest,
        handle: contextlib.AbstractContextManager | None = None,
    ):
        """Use `open_published`."""
        self.manifest = manifest
        self._store = store
        self._folder = folder
        self._handle = contextlib.ExitStack()
        if handle is not None:
            self._handle.enter_context(handle)

    def __enter__(self) -> "Published":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the version."""
        self._handle.close()

    @property
    def version(self) -> int:
        """Its number."""
        return self.manifest.version

    @property
    def location(self) -> str:
        """Its folder or URL, for people."""
        return self._store.locate(self._folder)

    def local(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """Gives a path of this machine that holds a file of the version, or a folder of it."""
        return self._store.local(f"{self._folder}/{name}")

    def clip_ids(self) -> list[str]:
        """Returns the ids of all clips, sorted."""
        return sorted(self._read(CLIPS_FILE, columns=["clip_id"])["clip_id"].to_pylist())

    def class_names(self) -> dict[str, str]:
        """Returns each clip's class, by clip id."""
        table = self._read(CLIPS_FILE, columns=["clip_id", "class_name"])
        return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def embeddings(self) -> LibraryEmbeddings:
        """Returns all clips and their vectors."""
        columns = ["clip_id", "class_name", "group", "embedding"]
        table = self._read(EMBEDDINGS_FILE, columns).sort_by("clip_id").combine_chunks()
        flat = table["embedding"].combine_chunks().flatten().to_numpy()
        return LibraryEmbeddings(
            table["clip_id"].to_pylist(),
            table["class_name"].to_pylist(),
            table["group"].to_pylist(),
            flat.reshape(table.num_rows, -1),
        )

    def recommend(
        self,
        clip_id: str,
        k: int | None = None,
        *,
        exclude_group: bool | None = None,
        class_name: str | None = None,
        min_score: float | None = None,
    ) -> list[Recommendation]:
        """Returns the clips that are nearest to a clip of the library.

        Without conditions, these are the rows of the neighbor table. With any, all clips are
        searched, exactly, so that conditions do not shorten the answer.

        Args:
          clip_id: of the query.
          k: how many, at most; None for as many as the table has.
          exclude_group: whether clips of the query's own group (source video) are left out; None
            for the way in which the table was made.
          class_name: the only class to recommend from.
          min_score: the lowest score to recommend.

        Raises:
          UnknownClipError: the version has no such clip, or no such class.
          ValueError: k is below 1, or min_score is not a number.
        """
        _check_limits(k, min_score)
        class_names = self.class_names()
        if clip_id not in class_names:
            raise UnknownClipError(self._unknown("clip_id", clip_id, class_names))
        if exclude_group is None and class_name is None and min_score is None:
            return [
                Recommendation(
                    row["rank"], row["neighbor_id"], class_names[row["neighbor_id"]], row["score"]
                )
                for row in self._neighbors(clip_id)[:k]
            ]
        library = self.embeddings()
        query = library.clip_ids.index(clip_id)
        allowed = np.arange(len(library.clip_ids)) != query
        if exclude_group or (exclude_group is None and self.manifest.config.get("exclude_group")):
            allowed &= ~(np.array(library.groups) == (library.groups[query] or None))
        found = self._search(library, library.vectors[query], allowed, class_name, min_score)
        return found[: self.manifest.config.get("k") if k is None else k]

    def nearest(
        self,
        vector: np.ndarray,
        k: int,
        *,
        class_name: str | None = None,
        min_score: float | None = None,
    ) -> list[Recommendation]:
        """Returns the `k` clips nearest to a vector, exactly, by cosine; ties by clip id.

        Args:
          vector: float [d], finite and not zero, of the version's own model.
          k: how many, at most.
          class_name: the only class to recommend from.
          min_score: the lowest score to recommend.

        Raises:
          UnknownClipError: the version has no such class.
          ValueError: the vector has another length than the library's, or no direction; k is
            below 1, or min_score is not a number.
        """
        _check_limits(k, min_score)
        library = self.embeddings()
        allowed = np.ones(len(library.clip_ids), bool)
        return self._search(library, vector, allowed, class_name, min_score)[:k]

    def verify(self, *names: str) -> None:
        """Compares files with the manifest.

        Args:
          *names: of files, and of folders for all below them; without any, all are compared.

        Raises:
          PublishedError: a file is missing or differs; names the first.
        """
        for name, facts in self.manifest.files.items():
            if names and not {name, name.split("/")[0]} & set(names):
                continue
            path = f"{self._folder}/{name}"
            where = self._store.locate(path)
            try:
                found = file_facts(self._store.blocks(path))
            except FileNotFoundError as error:
                raise PublishedError(
                    f"{where}: expected a file of the version; it is missing"
                ) from error
            if found != facts:
                raise PublishedError(f"{where}: expected {facts}; got {found}")

    def _search(
        self,
        library: LibraryEmbeddings,
        vector: np.ndarray,
        allowed: np.ndarray,
        class_name: str | None,
        min_score: float | None,
    ) -> list[Recommendation]:
        if class_name is not None:
            if class_name not in library.class_names:
                raise UnknownClipError(
                    self._unknown("class_name", class_name, set(library.class_names))
                )
            allowed = allowed & (np.array(library.class_names) == class_name)
        scores = _cosines(library.vectors, vector)
        if min_score is not None:
            allowed = allowed & (scores >= min_score)
        order = np.argsort(-scores, kind="stable")
        return [
            Recommendation(
                rank, library.clip_ids[row], library.class_names[row], float(scores[row])
            )
            for rank, row in enumerate(order[allowed[order]], start=1)
        ]

    def _unknown(self, argument: str, name: str, known: Iterable[str]) -> str:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        return f"{argument}: version {self.version} has no {name!r}{hint}"

    def _neighbors(self, clip_id: str) -> list[dict[str, Any]]:
        """Returns a query's rows of the neighbor table, by rank; reads only where they may be."""
        with self._parquet(NEIGHBORS_FILE) as file:
            metadata = file.metadata
            column = metadata.schema.names.index("query_id")
            groups = []
            for group in range(metadata.num_row_groups):
                statistics = metadata.row_group(group).column(column).statistics
                if not statistics or statistics.min <= clip_id <= statistics.max:
                    groups.append(group)
            table = file.read_row_groups(groups)
        # Neither `equal` nor `Table.filter`: they import pandas, a third of an answer's time.
        near = pc.filter(table, pc.match_substring(table["query_id"], clip_id)).to_pylist()
        rows = (row for row in near if row["query_id"] == clip_id)
        return sorted(rows, key=lambda row: row["rank"])

    def _read(self, name: str, columns: list[str] | None = None) -> Any:
        with self._parquet(name) as file:
            return file.read(columns)

    @contextlib.contextmanager
    def _parquet(self, name: str) -> Iterator[pq.ParquetFile]:
        path = f"{self._folder}/{name}"
        try:
            # Not `read_table`: it imports pandas, half of the time that an answer takes.
            with self._store.open(path) as raw, pq.ParquetFile(raw) as file:
                yield file
        except PublishedError:
            raise
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise PublishedError(f"{self._store.locate(path)}: cannot be read: {reason}") from error


def _check_limits(k: int | None, min_score: float | None) -> None:
    if k is not None and (not isinstance(k, numbers.Integral) or k < 1):
        raise ValueError(f"k: expected 1 or more; got {k!r}")
    if min_score is not None and np.isnan(min_score):
        raise ValueError(f"min_score: expected a number; got {min_score!r}")


def _cosines(vectors: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Returns float32 [n]: the cosines of unit vectors [n, d] and any vector [d]."""
    if np.shape(vector) != vectors.shape[1:]:
        raise ValueError(f"vector: expected shape {vectors.shape[1:]}; got {np.shape(vector)}")
    norm = np.linalg.norm(vector)
    if not np.isfinite(norm) or norm == 0:
        raise ValueError(f"vector: expected finite, not zero; got norm {norm}")
    unit = np.asarray(vector, np.float64) / norm
    # einsum adds up every row alike, so that equal vectors tie; a BLAS product does not.
    exact = np.einsum("nd,d->n", vectors.astype(np.float64), unit)
    return np.clip(exact, -1, 1).astype(np.float32)
