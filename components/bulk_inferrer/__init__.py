"""BulkInferrer: every clip's embedding and nearest neighbors."""
