"""ExampleValidator: data that break the schema stop the run."""
