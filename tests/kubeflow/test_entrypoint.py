"""The containers' entrypoint: each of Kubeflow's quirks, with TFX's own entrypoint behind it."""

import pytest
import yaml

from pipeline.kubeflow import entrypoint
from tests.kubeflow import parts, pod
from tests.kubeflow.cluster import OUTPUT_FILE, Cluster, Quirks

MODEL = {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
SPEC = {"artifacts": {"model": MODEL}, "parameters": {"k": {"parameterType": "NUMBER_INTEGER"}}}


def handed_over(uri="minio://bucket/model", **metadata):
    """What the launcher hands over to a stage with one input and one output."""
    given = {"name": "7", "uri": uri, "type": {"instanceSchema": ""}, "metadata": metadata}
    logs = {"name": "executor-logs", "uri": "minio://bucket/logs", "type": {"schemaTitle": "x"}}
    made = {"name": "table", "uri": "gs://bucket/table", "type": {"instanceSchema": "title: t"}}
    return {
        "inputs": {"parameterValues": {"k": 3}, "artifacts": {"model": {"artifacts": [given]}}},
        "outputs": {
            "artifacts": {"table": {"artifacts": [made]}, "executor-logs": {"artifacts": [logs]}},
            "outputFile": OUTPUT_FILE,
        },
    }


def test_input_is_repaired():
    """The launcher's own output goes, types come back, URIs become paths, in metadata too."""
    told = handed_over(
        current_model="s3://bucket/other",
        span=3.0,
        split_names='["train"]',
        tags={"list": ["a"]},
        more={"struct": {"b": True}},
    )
    entrypoint.repair_input(told, SPEC, entrypoint.to_path)
    (model,) = told["inputs"]["artifacts"]["model"]["artifacts"]
    assert model["type"] == MODEL["artifactType"]
    assert model["uri"] == "/minio/bucket/model"
    assert model["metadata"] == {
        "current_model": "/s3/bucket/other",
        "span": 3.0,
        "split_names": '["train"]',
        "tags": ["a"],
        "more": {"b": True},
    }
    assert told["outputs"]["artifacts"].keys() == {"table"}
    assert told["outputs"]["artifacts"]["table"]["artifacts"][0]["uri"] == "/gcs/bucket/table"
    assert told["inputs"]["parameterValues"] == {"k": 3}


def test_output_is_repaired():
    """Paths become URIs again, nulls go, and nothing else changes."""
    said = {
        "artifacts": {
            "blessing": {
                "artifacts": [
                    {
                        "uri": "/minio/bucket/blessing",
                        "metadata": {
                            "current_model": "/s3/b/model", "blessed": 1.0, "baseline": None,
                            "note": "see /minio/x", "list": ["/gcs/b/x", None],
                        },
                    }
                ]
            }
        }
    }  # fmt: skip
    repaired = entrypoint.repair_output(said)
    assert repaired["artifacts"]["blessing"]["artifacts"] == [
        {
            "uri": "minio://bucket/blessing",
            "metadata": {
                "current_model": "s3://b/model", "blessed": 1.0, "note": "see /minio/x",
                "list": ["gs://b/x"],
            },
        }
    ]  # fmt: skip


@pytest.mark.parametrize("uri", ["minio://a/b c/ü", "s3://a/b", "gs://a"])
def test_uris_and_back(uri):
    """A URI's path leads back to it."""
    assert entrypoint.to_uri(entrypoint.to_path(uri)) == uri


@pytest.mark.parametrize(
    ("locate", "uri", "message"),
    [
        (entrypoint.to_path, "oci://b/model", "expected a URI of minio://, s3://, gs://; got 'oci"),
        (entrypoint.to_path, "/data/model", "expected a URI of minio://, s3://, gs://; got '/data"),
        (entrypoint.check_remote, "minio://b/model", "expected a URI of gs:// for Beam's workers"),
        (entrypoint.check_remote, "s3://b/model", "expected a URI of gs:// for Beam's workers"),
    ],
)
def test_what_cannot_be_mapped_is_named(locate, uri, message):
    """The error names the artifact, what was expected and what came."""
    with pytest.raises(ValueError, match=r"^artifact model: ") as raised:
        entrypoint.repair_input(handed_over(uri), SPEC, locate)
    assert message in str(raised.value)


@pytest.mark.skipif(not pod.can_run(), reason="needs mounts of one's own (unshare)")
@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(),
        Quirks(*[False] * len(Quirks._fields)),
        *(
            pytest.param(Quirks()._replace(**{name: False}), marks=pytest.mark.slow)
            for name in Quirks._fields
        ),
    ],
)
def test_stages_run_with_and_without_the_quirks(quirks, tmp_path):
    """Files and metadata pass from stage to stage as Kubeflow hands them on, or another would."""
    run = Cluster(tmp_path, quirks=quirks).run(yaml.safe_dump(parts.make_spec()))
    assert run.states == {"Source": "SUCCEEDED", "Sink": "SUCCEEDED"}, run.failures
