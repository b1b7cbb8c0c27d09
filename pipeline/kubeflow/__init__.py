"""Open-source Kubeflow Pipelines 2.x: the pipeline compiled, run in containers, submitted."""
