"""The stand-in for Kubeflow: it runs what Kubeflow runs and rejects what Kubeflow rejects."""

import copy

import pytest
import yaml

from tests.kubeflow import pod
from tests.kubeflow.checks import Rejected
from tests.kubeflow.cluster import Cluster

pytestmark = pytest.mark.skipif(not pod.can_run(), reason="needs mounts of one's own (unshare)")

STRING = {"parameterType": "STRING"}
TABLE = {"artifactType": {"instanceSchema": "title: test.Table\ntype: object\n"}}
#: Writes what it is given into an artifact, and what it sees into a parameter.
WRITE = """
import json, os, sys
told = json.loads(sys.argv[1])
uri = told["outputs"]["artifacts"]["table"]["artifacts"][0]["uri"]
path = uri.replace("minio://", "/minio/")
os.makedirs(path)
open(path + "/rows", "w").write(told["inputs"]["parameterValues"]["text"])
os.makedirs("/tmp/kfp/outputs", exist_ok=True)
open("/tmp/kfp/outputs/text", "w").write(os.environ.get("WORD", "") + str(os.listdir("/minio")))
"""
READ = """
import json, os, sys
told = json.loads(sys.argv[1])
(table,) = told["inputs"]["artifacts"]["table"]["artifacts"]
assert table["type"] == {"instanceSchema": ""} and table["metadata"]["display_name"] == "table"
print("read", open(table["uri"].replace("minio://", "/minio/") + "/rows").read())
"""


def script(code):
    return {"container": {"image": "x:1", "command": ["python", "-c"], "args": [code, "{{$}}"]}}


@pytest.fixture
def spec():
    """Two tasks: one writes a table, the other reads it."""
    return {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "two"},
        "root": {
            "inputDefinitions": {"parameters": {"text": STRING | {"defaultValue": "by default"}}},
            "dag": {
                "tasks": {
                    "write": {
                        "componentRef": {"name": "write"},
                        "cachingOptions": {"enableCache": True},
                        "inputs": {"parameters": {"text": {"componentInputParameter": "text"}}},
                    },
                    "read": {
                        "componentRef": {"name": "read"},
                        "dependentTasks": ["write"],
                        "inputs": {
                            "artifacts": {
                                "table": {
                                    "taskOutputArtifact": {
                                        "producerTask": "write",
                                        "outputArtifactKey": "table",
                                    }
                                }
                            }
                        },
                    },
                }
            },
        },
        "components": {
            "write": {
                "executorLabel": "write",
                "inputDefinitions": {"parameters": {"text": STRING}},
                "outputDefinitions": {
                    "parameters": {"text": STRING},
                    "artifacts": {"table": TABLE},
                },
            },
            "read": {"executorLabel": "read", "inputDefinitions": {"artifacts": {"table": TABLE}}},
        },
        "deploymentSpec": {"executors": {"write": script(WRITE), "read": script(READ)}},
    }


def platform(**executor):
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"write": executor}}}}}


def test_parameters_and_artifacts_flow(spec, tmp_path):
    """Values come by default or from the run; artifacts through the store, into each pod alone."""
    cluster = Cluster(tmp_path)
    for parameters, text in (({}, "by default"), ({"text": "as told"}, "as told")):
        run = cluster.run(yaml.safe_dump(spec), parameters)
        assert run.succeeded, run.log("write") + run.log("read")
        assert f"read {text}\n" in run.log("read")
        assert run.outputs["write"]["parameterValues"] == {"text": "['mlpipeline']"}
    again = cluster.run(yaml.safe_dump(spec))
    assert again.states == {"write": "CACHED", "read": "SUCCEEDED"}
    assert len(list(cluster.store.rglob("rows"))) == 2


def test_secrets_and_environment(spec, tmp_path):
    """A secret's key is a variable of the container that asks for it, and only there."""
    secret = {"secretName": "word", "keyToEnv": [{"secretKey": "key", "envVar": "WORD"}]}
    documents = [spec, platform(secretAsEnv=[secret])]
    cluster = Cluster(tmp_path, secrets={"word": {"key": "hidden"}})
    run = cluster.run(yaml.safe_dump_all(documents))
    assert run.outputs["write"]["parameterValues"]["text"].startswith("hidden")


@pytest.mark.parametrize(("policy", "attempts"), [({"backoffMaxDuration": "3600s"}, 3), ({}, 1)])
def test_failed_tasks_are_tried_again(policy, attempts, spec, tmp_path):
    """As often and as long as the policy says; what waits for a failed task never starts."""
    spec["deploymentSpec"]["executors"]["write"] = script("raise SystemExit(3)")
    spec["root"]["dag"]["tasks"]["write"]["retryPolicy"] = {"maxRetryCount": 2, **policy}
    run = Cluster(tmp_path).run(yaml.safe_dump(spec))
    assert not run.succeeded
    assert (run.states, run.attempts) == ({"write": "FAILED"}, {"write": attempts})


@pytest.mark.parametrize(("text", "state"), [("go", "SUCCEEDED"), ("stay", "SKIPPED")])
def test_conditions(text, state, spec, tmp_path):
    """A task whose condition does not hold is skipped, and so is what waits for it."""
    condition = "inputs.parameter_values['text'] == 'go'"
    spec["root"]["dag"]["tasks"]["write"]["triggerPolicy"] = {"condition": condition}
    run = Cluster(tmp_path).run(yaml.safe_dump(spec), {"text": text})
    assert run.succeeded and run.states["write"] == state
    assert ("read" in run.states) is (text == "go")


SAY = """
import os
os.makedirs("/tmp/kfp_outputs")
open("/tmp/kfp_outputs/output_metadata.json", "w").write('{}')
"""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda spec: spec.update(schemaVersion="2.0.0"), "schemaVersion"),
        (lambda spec: spec.update(surprise=1), "surprise"),
        (
            lambda spec: spec["root"]["inputDefinitions"]["parameters"]["text"].pop("defaultValue"),
            "without a value",
        ),
        (
            lambda spec: spec["deploymentSpec"]["executors"].update(read={"resolver": {}}),
            "resolver not implemented",
        ),
        (
            lambda spec: spec["deploymentSpec"]["executors"].update(
                write=script(SAY.replace("{}", '{"artifacts": {"table": null}}'))
            ),
            "null",
        ),
        (
            lambda spec: spec["deploymentSpec"]["executors"].update(
                write=script(SAY.replace("{}", '{"surprise": 1}'))
            ),
            "output_metadata.json",
        ),
    ],
)
def test_what_kubeflow_rejects(change, reason, spec, tmp_path):
    """The stand-in rejects it, too."""
    changed = copy.deepcopy(spec)
    change(changed)
    with pytest.raises(Rejected, match=reason):
        Cluster(tmp_path).run(yaml.safe_dump(changed))


def test_unknown_parameters_and_fields_are_rejected(spec, tmp_path):
    """A run has no other parameters, Kubernetes' part no other fields."""
    with pytest.raises(Rejected, match="unknown parameters"):
        Cluster(tmp_path).run(yaml.safe_dump(spec), {"surprise": 1})
    with pytest.raises(Rejected, match="unknown fields"):
        Cluster(tmp_path).run(yaml.safe_dump_all([spec, platform(surprise=1)]))
