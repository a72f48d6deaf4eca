"""
The errors of this package; `_core` raises `DecodeError` from here.

QueueMetricsError
├── ConfigurationError      a setting is unknown, missing or of the wrong kind: the value, the choices, what to do
├── UnsupportedTarget       `instrument()` was given something that no hook knows
├── MissingDependency       an optional library is not installed; also an ImportError
├── StoreError
│   ├── StoreUnavailable    may work later: nothing is lost, try again
│   │   └── TransactionConflict    somebody else changed what a transaction rests on
│   ├── StoreRefused        will not work later: rights, limits or a wrong kind of data; mend it
│   └── SchemaMismatch      the store was written by a newer version, or needs a migration
└── DecodeError             bytes of ours that cannot be read; also a ValueError
"""

from __future__ import annotations


class QueueMetricsError(Exception):
    """The root: one `except` for all of ours."""


class ConfigurationError(QueueMetricsError):
    """A setting is unknown, missing or of the wrong kind."""


class UnsupportedTarget(QueueMetricsError):
    """Nothing here knows how to instrument this object."""


class MissingDependency(QueueMetricsError, ImportError):
    """An optional library is needed; the message names the extra to install."""


class StoreError(QueueMetricsError):
    """The store did not do what was asked; the text begins with its URL."""

    def reason(self, url: str) -> str:
        """What happened, for a sentence that names the store already."""
        return str(self).removeprefix(f"{url}: ").rstrip(".")


class StoreUnavailable(StoreError):
    """The store cannot be reached or is busy; the same call may work later."""


class TransactionConflict(StoreUnavailable):
    """What a transaction rests on was changed by somebody else; nothing is done, the whole may be tried again."""


class StoreRefused(StoreError):
    """The store answered no, and will again until somebody mends it."""


class SchemaMismatch(StoreError):
    """What is stored has another schema version than this package writes."""


class DecodeError(QueueMetricsError, ValueError):
    """Stored or recorded bytes are damaged or newer than this package."""
