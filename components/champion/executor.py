"""Copies the published model into this run's artifact."""

import logging
import os
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components import published


class Executor(base_executor.BaseExecutor):
    """Reads the push directory, writes the artifact."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copies the live version; leaves the artifact empty without one."""
        champion = artifact_utils.get_single_instance(output_dict["champion"])
        if not exec_properties["live_version"]:
            logging.info("no champion: nothing is published in %s", exec_properties["push_dir"])
            return
        with published.open_published(
            exec_properties["push_dir"], int(exec_properties["live_version"])
        ) as live:
            beside = [published.EMBEDDINGS_FILE, published.STATISTICS_FILE]
            live.verify(published.MODEL_DIR, *beside)
            with live.local(published.MODEL_DIR) as folder:
                io_utils.copy_dir(str(folder), path_utils.serving_model_path(champion.uri))
            # Older versions have no statistics.
            present = [name for name in beside if name in live.manifest.files]
            for name in (published.MANIFEST_FILE, *present):
                with live.local(name) as path:
                    io_utils.copy_file(str(path), os.path.join(champion.uri, name), overwrite=True)
