"""Copies the published model into this run's artifact."""

import logging
import os
import shutil
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
        live = published.open_published(
            exec_properties["push_dir"], int(exec_properties["live_version"])
        )
        io_utils.copy_dir(str(live.model_dir), path_utils.serving_model_path(champion.uri))
        shutil.copyfile(live.manifest_path, os.path.join(champion.uri, published.MANIFEST_FILE))
        if published.STATISTICS_FILE in live.manifest.files:
            shutil.copyfile(
                live.path / published.STATISTICS_FILE,
                os.path.join(champion.uri, published.STATISTICS_FILE),
            )
