"""The pipeline's stages.

Kubeflow imports artifact types as `components.<Class>`; they are loaded on first use, so that
`recommend.py` can use the pure modules below without importing tfx.
"""

_ARTIFACTS = ("Embeddings", "NeighborTable", "PublishedVersion")

__all__ = list(_ARTIFACTS)


def __getattr__(name: str) -> type:
    if name in _ARTIFACTS:
        from components import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module 'components' has no attribute {name!r}")
