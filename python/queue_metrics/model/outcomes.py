"""How executions and jobs end, and how urgent a health is: the words of all answers."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How an execution ended; exactly one each. Where two apply, the later one in this order."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"


class Discard(StrEnum):
    """Why a job ended without an execution."""

    REVOKED = "revoked"
    EXPIRED = "expired"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """What a health comes to; in order of urgency."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"
