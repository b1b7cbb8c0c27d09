"""The DAG, its settings, and running it."""
