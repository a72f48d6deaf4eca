"""Which errors of redis-py may pass by themselves and which somebody must mend. Loads redis-py when something is sent."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

from queue_metrics.errors import StoreError, StoreRefused, StoreUnavailable

# By the names of classes, since not every version that we support has all of them.
_LASTING = frozenset({"AuthenticationError", "AuthorizationError", "NoPermissionError", "InvalidResponse"})
_PASSING = frozenset(
    {
        "ConnectionError",
        "TimeoutError",
        "ReadOnlyError",
        "OutOfMemoryError",
        "TryAgainError",
        "ClusterDownError",
        "MasterDownError",
        "OSError",
        "ChildDeadlockedError",
    }
)

_PASSING_WORDS = frozenset(
    {"BUSY", "LOADING", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "UNKILLABLE"}
)
"""First words of answers after which the same command may work later: a script that runs, a start, a full disk, a failover."""


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Turns what redis-py and the socket raise inside into our errors; the URL is already masked."""
    try:
        yield
    except Exception as error:
        # Besides its own: of the socket, and ValueError or TypeError about an option of the URL.
        if isinstance(error, (OSError, ValueError, TypeError)) or type(error).__module__.startswith("redis."):
            raise store_error(error, url) from error
        raise


def no_script() -> type[Exception]:
    """The class of the answer that the server has forgotten the script."""
    from redis.exceptions import NoScriptError

    return NoScriptError


def store_error(error: Exception, url: str) -> StoreError:
    """Our error for one of theirs."""
    text = f"{url}: {error or type(error).__name__}"
    classes = {one.__name__ for one in type(error).__mro__}
    word = str(error).split(maxsplit=1)[:1]
    if classes & _LASTING or _untrusted(error):
        return StoreRefused(text)
    if classes & _PASSING or _PASSING_WORDS.intersection(word):
        return StoreUnavailable(text)
    return StoreRefused(text)


def _untrusted(error: BaseException | None) -> bool:
    """Whether a certificate did not convince us, anywhere in the chain of causes."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
