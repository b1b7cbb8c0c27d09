"""The compiled pipeline, run as Kubeflow runs it, to a published version in a bucket."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import numpy as np
import pyarrow.parquet as pq
import pytest

import sample_library
from components import published
from tests.e2e.runs import CLASSES, CLIPS_PER_GROUP, ROOT, TINY
from tests.e2e.test_local_run import write_video
from tests.kubeflow import pod
from tests.kubeflow.cluster import Cluster
from tests.s3_server import BUCKET, S3Server

pytestmark = pytest.mark.skipif(not pod.can_run(), reason="needs mounts of one's own (unshare)")

PUSH_DIR = f"s3://{BUCKET}/out/published"


def upload(library: Path) -> None:
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client.upload_file(str(library), BUCKET, "library.zip")


@pytest.fixture(scope="module")
def s3(library):
    """An S3 server that has the library."""
    with S3Server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        upload(library)
        yield server


@pytest.fixture(scope="module")
def package(s3, tmp_path_factory):
    """The pipeline, compiled as a user compiles it."""
    path = tmp_path_factory.mktemp("package") / "pipeline.yaml"
    options = [
        "--out", path, "--image", "registry.example/clip-recommender:1",
        "--source", f"s3://{BUCKET}/library.zip", "--output-dir", f"s3://{BUCKET}/out",
        "--env-var", f"AWS_ENDPOINT_URL={s3.environment['AWS_ENDPOINT_URL']}",
        "--env-var", "AWS_DEFAULT_REGION=us-east-1",
        "--secret", "s3:id=AWS_ACCESS_KEY_ID", "--secret", "s3:key=AWS_SECRET_ACCESS_KEY",
        "--warm-start", "--max-class-drift", "1", "--retries", "1",
    ]  # fmt: skip
    command = [sys.executable, "kubeflow_runner.py", "compile", *map(str, options), *TINY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return path.read_text()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    secrets = {"s3": {"id": "key", "key": "secret"}}
    return Cluster(tmp_path_factory.mktemp("cluster"), secrets=secrets)


@pytest.fixture(scope="module")
def run(cluster, package):
    """The first run."""
    done = cluster.run(package)
    assert done.succeeded, done.failures
    return done


def rows(folder: Path, name: str) -> dict:
    return pq.read_table(folder / name).to_pydict()


def test_every_task_ran_once(run):
    """All stages ran, none was tried again, and each left its artifacts in the store."""
    assert set(run.states.values()) == {"SUCCEEDED"} and len(run.states) == 14
    assert set(run.attempts.values()) == {1}


def test_publishes_what_one_machine_publishes(run, first_run):
    """With the same settings, the version in the bucket has the same files and the same table."""
    with published.open_published(PUSH_DIR) as live:
        live.verify()
        assert live.manifest.files.keys() == first_run.manifest["files"].keys()
        assert live.manifest.metrics["recall"] == first_run.manifest["metrics"]["recall"]
        for name in ("embeddings.parquet", "neighbors.parquet"):
            with live.local(name) as path:
                found, expected = (rows(folder, name) for folder in (path.parent, first_run.live))
            found.pop("model_id", None), expected.pop("model_id", None)
            assert found == expected
        clip_id = live.clip_ids()[0]
        assert live.recommend(clip_id) == published.open_published(
            first_run.output_dir / "published"
        ).recommend(clip_id)


def test_nothing_new_is_skipped(run, cluster, package):
    """The next run finds that the live version is what it would publish, and does nothing."""
    again = cluster.run(package)
    assert again.states == {"plan": "SUCCEEDED", "retrain": "SKIPPED"}
    assert f"already up to date: nothing changed since {PUSH_DIR}/1" in again.log("plan")
    assert published.list_versions(PUSH_DIR) == [1]


def make_noise(folder: Path) -> Path:
    """Makes a zip of clips that are too small for the schema."""
    rng = np.random.default_rng(0)
    for class_name, group in itertools.product(CLASSES, (1, 8, 9, 25)):
        name = f"UCF-101/{class_name}/v_{class_name}_g{group:02d}_c01.avi"
        write_video(folder / name, rng.integers(0, 256, (20, 8, 8, 3), np.uint8))
    return Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.mark.slow
def test_new_clips_are_taken_in_and_broken_data_are_not(run, cluster, package, tmp_path):
    """A third run finds new clips and a new class and publishes; a fourth finds rubbish."""
    larger = sample_library.make_library(
        tmp_path / "larger.zip",
        classes=(*CLASSES, "Shake"),
        clips_per_group=CLIPS_PER_GROUP | {11: 4},
        num_frames=(18, 26),
    )
    upload(larger)
    third = cluster.run(package, {"classes": "all", "epochs": 3})
    assert third.succeeded, third.failures
    assert "began with the weights of version 1" in third.log("Trainer")
    with published.open_published(PUSH_DIR) as live:
        assert (live.version, live.manifest.parent) == (2, 1)
        assert live.manifest.config["epochs"] == 3
        assert set(live.class_names().values()) == {*CLASSES, "Shake"}
    upload(make_noise(tmp_path / "noise"))
    fourth = cluster.run(package)
    assert not fourth.succeeded and fourth.states["ExampleValidator"] == "FAILED"
    assert fourth.attempts["ExampleValidator"] == 2
    assert "the data break schema/schema.pbtxt" in fourth.log("ExampleValidator")
    assert "Trainer" not in fourth.states
    assert published.current_version(PUSH_DIR) == 2
