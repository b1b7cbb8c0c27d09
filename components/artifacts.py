"""Artifact types of this pipeline.

`TYPE_NAME` is `<package>.<Class>`, importable under that name: Kubeflow's metadata carries the
name alone and imports the class by it.
"""

from tfx.types import artifact


class Embeddings(artifact.Artifact):
    """One unit vector a clip.

    ```
    <uri>/embeddings-00000.parquet   one shard for each shard of Examples
        clip_id string (unique over all shards), class_name string, group string, split string,
        embedding list<float32>[D], unit norm, model_id string
    ```
    Empty where the model was not blessed.
    """

    TYPE_NAME = "components.Embeddings"


class NeighborTable(artifact.Artifact):
    """The k nearest neighbors of every clip, by cosine similarity.

    ```
    <uri>/neighbors.parquet
        query_id string, rank int32 (1..k), neighbor_id string,
        score float32 (cosine, never rising with rank)
        schema metadata: k, metric, model_id, index ("exact" or the index's name)
    ```
    Empty where the model was not blessed.
    """

    TYPE_NAME = "components.NeighborTable"


class PublishedVersion(artifact.Artifact):
    """What Pusher did: where a version was published, or why none was.

    ```
    <uri>/result.json   {"version": int or null, "push_dir": str, "message": str,
                         "examples": str, where the tables of the run's clips are}
    ```
    """

    TYPE_NAME = "components.PublishedVersion"
