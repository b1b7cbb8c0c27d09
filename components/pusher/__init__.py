"""Pusher: publishes model, embeddings and neighbor table as one version."""
