"""Checkpoints of a training: what it needs to go on as if it had never been killed."""

import datetime
import json
import logging
import zipfile
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.fs

from components import filesystems
from components.trainer import weights

_SUFFIX = ".npz"
#: Checkpoints of other trainings, which were killed and never started again, go after this time.
_KEEP = datetime.timedelta(days=30)


class Checkpoint(NamedTuple):
    """The state of a training after an epoch.

    Attributes:
      network: weights by path.
      optimizer: the optimizer's variables, in its order.
      best: the weights of the best epoch so far, by path.
      facts: ready for JSON; see `loop.py`.
    """

    network: dict[str, np.ndarray]
    optimizer: list[np.ndarray]
    best: dict[str, np.ndarray]
    facts: dict[str, Any]


class CheckpointStore:
    """The checkpoint of one training in a folder that others share: one file, replaced whole."""

    def __init__(self, root: str, name: str) -> None:
        """Takes the folder, a path, s3:// or gs://, and what names the training.

        Args:
          root: made if need be.
          name: of the training: another one never reads its checkpoint.
        """
        self._filesystem, self._root = filesystems.open_filesystem(root)
        self._path = f"{self._root}/{name}{_SUFFIX}"

    def load(self) -> Checkpoint | None:
        """Returns the checkpoint; None where there is none that can be read."""
        try:
            with self._filesystem.open_input_stream(self._path) as file:
                arrays = weights.unpack(file.read())
            return _from_arrays(arrays)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, pa.ArrowInvalid) as error:
            logging.warning("%s is passed over: %s", self._path, error)
            return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Replaces the checkpoint; whoever is killed while saving leaves the one before."""
        with filesystems.open_output_in(self._filesystem, self._path) as file:
            file.write(weights.pack(_to_arrays(checkpoint)))

    def clear(self) -> None:
        """Removes the checkpoint, and what trainings that nobody resumed left long ago."""
        oldest = datetime.datetime.now(datetime.timezone.utc) - _KEEP
        selector = pyarrow.fs.FileSelector(self._root, allow_not_found=True)
        for info in self._filesystem.get_file_info(selector):
            if info.path == self._path or info.mtime < oldest:
                self._filesystem.delete_file(info.path)


def _to_arrays(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    arrays = {f"network/{path}": array for path, array in checkpoint.network.items()}
    arrays |= {f"best/{path}": array for path, array in checkpoint.best.items()}
    arrays |= {f"optimizer/{index}": array for index, array in enumerate(checkpoint.optimizer)}
    arrays["facts"] = np.array(json.dumps(checkpoint.facts))
    return arrays


def _from_arrays(arrays: dict[str, np.ndarray]) -> Checkpoint:
    def below(prefix: str) -> dict[str, np.ndarray]:
        return {
            path.removeprefix(prefix): array
            for path, array in arrays.items()
            if path.startswith(prefix)
        }

    optimizer = below("optimizer/")
    return Checkpoint(
        network=below("network/"),
        optimizer=[optimizer[str(index)] for index in range(len(optimizer))],
        best=below("best/"),
        facts=json.loads(str(arrays["facts"])),
    )
