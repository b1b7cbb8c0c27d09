"""Ingestion: clips in a zip or a folder become `tf.train.Example` shards in three splits."""
