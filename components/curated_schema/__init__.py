"""CuratedSchema: the repository's schema as an artifact."""
