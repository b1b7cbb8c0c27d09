"""What can be wrong with a published directory."""


class PublishedError(ValueError):
    """A published directory that cannot be read or written; the message is one line."""


class UnknownClipError(PublishedError):
    """A clip that the version does not have; the message suggests those of similar names."""


class UnknownVersionError(PublishedError):
    """A version that is not there; the message names those that are."""


class ConflictError(PublishedError):
    """Another version went live in the meantime; nothing was changed."""
