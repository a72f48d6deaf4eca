"""Which errors of redis-py may pass by themselves and which somebody must mend. Loads redis-py when something is sent."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

from queue_metrics.errors import StoreError, StoreRefused, StoreUnavailable
from queue_metrics.storage.general import Call
from queue_metrics.storage.keyspace import no_number, overflowing

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
        "AskError",
        "MovedError",
        "ClusterError",
        "SlotNotCoveredError",
        "OSError",
        "ChildDeadlockedError",
    }
)

_PASSING_WORDS = frozenset(
    {"BUSY", "LOADING", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "UNKILLABLE"}
    | {"MOVED", "ASK", "UNBLOCKED"}
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


def is_answer(error: Exception) -> bool:
    """Whether a server said this, and the connection is as good as before."""
    from redis.exceptions import ResponseError

    return isinstance(error, ResponseError)


def answered(text: bytes) -> Exception:
    """An answer that came as text, since a script caught it."""
    from redis.exceptions import ResponseError

    return ResponseError(text.decode(errors="replace"))


def is_no_script(answer: object) -> bool:
    """Whether the server has forgotten the script."""
    return type(answer).__name__ == "NoScriptError"


def is_elsewhere(answer: object) -> bool:
    """Whether a node of a cluster does not have the key any more, or says that the cluster is not whole."""
    return bool(
        {one.__name__ for one in type(answer).__mro__} & {"AskError", "MovedError", "ClusterError", "ClusterDownError", "TryAgainError"}
    )


def refusal(error: Exception, call: Call, url: str) -> StoreError:
    """Our error for an answer to a general operation."""
    text = str(error)
    if call.name in ("increment_hash_field", "increment_sorted_set"):
        key, member = call.arguments[:2]
        if "overflow" in text:
            return overflowing(key, member)
        if "not an integer" in text:
            return no_number(key, member)
    return store_error(error, url)


def store_error(error: Exception, url: str) -> StoreError:
    """Our error for one of theirs."""
    classes = {one.__name__ for one in type(error).__mro__}
    moved = "a slot of the cluster moves: " if "AskError" in classes else ""  # of which redis-py leaves its number and a node
    told = str(error).partition(" : <")[0]  # behind it a whole client of each sentinel
    text = f"{url}: {moved}{told or type(error).__name__}"
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
