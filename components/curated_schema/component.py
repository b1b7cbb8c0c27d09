"""The TFX component.

TFX's own Importer and ImportSchemaGen take a path: the cache does not see what changes behind it,
and a container on Kubeflow may not have it. This one takes the text.
"""

import os

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import io_utils


@component
def CuratedSchema(schema: OutputArtifact[standard_artifacts.Schema], text: Parameter[str]):
    """Writes a schema.

    Args:
      schema: gets `schema.pbtxt`.
      text: a `tensorflow_metadata.proto.v0.Schema` in text format.
    """
    io_utils.write_string_file(os.path.join(schema.uri, "schema.pbtxt"), text)
