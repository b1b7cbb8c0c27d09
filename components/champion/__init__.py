"""Champion: the published model as an input of this run."""
