"""Compiled pipelines for tests."""

from pipeline.config import PipelineConfig
from pipeline.kubeflow import compile
from pipeline.kubeflow.settings import KubeflowConfig

IMAGE = "registry.example/clip-recommender:1"
#: Three ways to run: options of PipelineConfig and of KubeflowConfig.
CONFIGURATIONS: dict[str, tuple[dict, dict]] = {
    "cpu": ({}, {}),
    "gpu": (
        {"image_size": 112, "warm_start": True},
        {
            "gpus": 1,
            "gpu_node_labels": ("cloud.example/accelerator=t4",),
            "gpu_tolerations": ("nvidia.com/gpu:NoSchedule", "pool=gpu:NoExecute"),
            "memory_limit": 32.0,
            "shm": 8,
            "scratch": 100,
        },
    ),
    "flink": (
        {
            "beam_args": (
                "--runner=FlinkRunner",
                "--flink_master=flink-jobmanager:8081",
                "--environment_type=EXTERNAL",
                "--environment_config=localhost:50000",
            )
        },
        {
            "pipeline_root": "gs://bucket/kubeflow",
            "secrets": ("s3:id=AWS_ACCESS_KEY_ID", "s3:key=AWS_SECRET_ACCESS_KEY"),
            "env_vars": ("AWS_ENDPOINT_URL=http://minio.kubeflow:9000",),
        },
    ),
}


def make_package(name: str = "cpu") -> str:
    """Compiles one of CONFIGURATIONS."""
    settings, platform = CONFIGURATIONS[name]
    return compile.compile_pipeline(
        PipelineConfig(source="s3://bucket/UCF101.zip", output_dir="s3://bucket/out", **settings),
        KubeflowConfig(image=IMAGE, **platform),
    )
