"""What the names of all keys and tables of a store may begin with. Every driver asks: it stands in keys and statements as it is."""

from __future__ import annotations

from queue_metrics.config import values
from queue_metrics.errors import ConfigurationError


def checked_prefix(prefix: str) -> str:
    """
    The prefix, when it is one.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return values.prefix(prefix)
    except ValueError as error:
        raise ConfigurationError(f"the prefix {prefix!r} cannot be used: it is {error}") from None
