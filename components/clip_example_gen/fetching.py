"""Fetching ahead: while one clip is decoded, the next ones are on their way."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from components.clip_example_gen.archive import Archive, Fetched, MemberError
from components.clip_example_gen.listing import ClipRef


class Fetcher:
    """Fetches clips of an archive, so many at once."""

    def __init__(self, archive: Archive, workers: int) -> None:
        """Takes an open archive, which stays the caller's, and the number of threads."""
        self._archive = archive
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fetch")

    def fetch(self, refs: Sequence[ClipRef]) -> Iterator[tuple[ClipRef, Fetched | MemberError]]:
        """Yields each clip with its file, or why there is none, in the order of `refs`.

        A file that was yielded is the caller's to discard; at most `workers` wait behind it.

        Raises:
          SourceError: the source does not answer.
        """
        waiting: deque[tuple[ClipRef, Future[Fetched | MemberError]]] = deque()
        try:
            for ref in refs:
                waiting.append((ref, self._pool.submit(self._fetch, ref)))
                if len(waiting) > self._workers:
                    ready, future = waiting.popleft()
                    yield ready, future.result()
            while waiting:
                ready, future = waiting.popleft()
                yield ready, future.result()
        finally:
            for _, future in waiting:
                if not future.cancel():
                    future.add_done_callback(_discard)

    def close(self) -> None:
        """Waits for the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _fetch(self, ref: ClipRef) -> Fetched | MemberError:
        try:
            return self._archive.fetch(ref.entry)
        except MemberError as error:
            return error


def _discard(future: Future[Fetched | MemberError]) -> None:
    if not future.cancelled() and future.exception() is None:
        fetched = future.result()
        if not isinstance(fetched, MemberError):
            fetched.discard()
