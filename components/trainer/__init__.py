"""Trainer: the network and its training."""
