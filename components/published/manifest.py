"""What a version says about itself: `manifest.json`."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from components.published.errors import PublishedError

#: The layout that this package reads and writes.
FORMAT = 1

#: What readers rely on.
_KINDS: dict[str, tuple[Any, str]] = {
    "version": (int, "a number"),
    "parent": ((int, type(None)), "a number or null"),
    "created": (str, "a text"),
    "model_id": (str, "a text"),
    "config": (dict, "an object"),
    "metrics": (dict, "an object"),
    "files": (dict, "an object"),
}


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

    def to_json(self) -> bytes:
        """Returns the content of `manifest.json`."""
        return (json.dumps(dataclasses.asdict(self), indent=2) + "\n").encode()


def parse_manifest(content: bytes, location: str) -> Manifest:
    """Reads the content of a manifest; fields that this reader does not know are passed over.

    Raises:
      PublishedError: it is no manifest of this format; the message begins with `location`.
    """
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PublishedError(f"{location}: expected JSON: {error}") from error
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != FORMAT:
        raise PublishedError(f"{location}: expected format {FORMAT}; got {found}")
    names = [field.name for field in dataclasses.fields(Manifest)]
    if missing := [name for name in names if name not in facts]:
        raise PublishedError(f"{location}: expected {', '.join(missing)}")
    for name, (kind, expected) in _KINDS.items():
        if not isinstance(facts[name], kind):
            raise PublishedError(
                f"{location}: {name}: expected {expected}; got {facts[name]!r:.40}"
            )
    for name, file in facts["files"].items():
        if not _is_file_facts(file):
            raise PublishedError(
                f"{location}: files: {name}: expected bytes and sha256; got {file!r:.40}"
            )
    return Manifest(**{name: facts[name] for name in names})


def _is_file_facts(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("bytes"), int)
        and isinstance(found.get("sha256"), str)
    )


def file_facts(blocks: Iterable[bytes]) -> dict[str, Any]:
    """Returns size in bytes and sha256 of a file given in blocks, as manifests hold them."""
    size, digest = 0, hashlib.sha256()
    for block in blocks:
        size += len(block)
        digest.update(block)
    return {"bytes": size, "sha256": digest.hexdigest()}
