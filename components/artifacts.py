"""Artifact types of this pipeline.

`TYPE_NAME` is `<package>.<Class>`, importable under that name: Kubeflow's metadata carries the
name alone and imports the class by it.
"""

from tfx.types import artifact


class Embeddings(artifact.Artifact):
    """One unit vector a clip.

    ```
    <uri>/embeddings-<split>-00000-of-00004.parquet   a shard for each shard of Examples
        clip_id string (unique over all shards), class_name string, group string, split string,
        embedding list<float32>[D], unit norm, model_id string,
        example_digest string (of the Example that was embedded)
        schema metadata: engine
    ```
    Empty where the model was not blessed.
    """

    TYPE_NAME = "components.Embeddings"


class NeighborTable(artifact.Artifact):
    """The nearest neighbors of every clip, by cosine similarity: k, or fewer under conditions.

    ```
    <uri>/neighbors-00000-of-00001.parquet   a shard for some of the queries
        query_id string, rank int32 (1..k), neighbor_id string,
        score float32 (cosine, never rising with rank); ties by neighbor_id
        schema metadata: k, metric, model_id, index ("exact", or as "cells, recall 0.9912"),
        exclude_group, one_per_group, min_score where one was set
    ```
    Empty where the model was not blessed.
    """

    TYPE_NAME = "components.NeighborTable"


class PublishedVersion(artifact.Artifact):
    """What Pusher did: where a version was published, or why none was.

    ```
    <uri>/result.json   {"version": int or null, "push_dir": str,
                         "objections": [str], what spoke against it,
                         "metrics": {...}, the candidate's, as in a manifest,
                         "examples": str, where the tables of the run's clips are,
                         "evaluation": str, where RetrievalEvaluator's figures are}
    ```
    Custom property `pushed`: 1 where a version was published, else 0.
    """

    TYPE_NAME = "components.PublishedVersion"
