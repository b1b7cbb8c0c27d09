"""DriftValidator: data far from what the champion was trained on stop the run."""
