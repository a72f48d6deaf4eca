"""What the process that executed a job tells of it at once: the fields and units of the original's job events; unknown is None."""

from __future__ import annotations

from dataclasses import dataclass

JOB_COMPLETED, JOB_FAILED, JOB_RETRIED, JOB_DEBOUNCED = "job_completed", "job_failed", "job_retried", "job_debounced"
JOB_EVENT_KINDS = (JOB_COMPLETED, JOB_FAILED, JOB_RETRIED, JOB_DEBOUNCED)


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """Which job it is about."""

    job_id: str
    """As text; of one that was executed its first 248 bytes."""
    job_class: str
    """Name of the task."""
    connection: str
    queue: str
    hostname: str


@dataclass(frozen=True, slots=True)
class JobMeasured(JobIdentity):
    """What every execution tells."""

    duration_ms: float
    memory_mb: float | None
    """Peak of resident memory, in units of 1024 x 1024 bytes."""
    cpu_time_ms: float | None
    worker_memory_limit_mb: float | None
    """Resident memory at which the library replaces the process: Celery's `max_memory_per_child`."""
    memory_incremental_mb: float | None
    """Change of resident memory from start to end."""


@dataclass(frozen=True, slots=True)
class JobCompleted(JobMeasured):
    """An execution succeeded."""


@dataclass(frozen=True, slots=True)
class JobFailed(JobMeasured):
    """An execution failed, timed out or was cancelled."""

    exception_message: str | None
    """The text of the exception, 1,000 characters at most; in no store."""


@dataclass(frozen=True, slots=True)
class JobRetried(JobMeasured):
    """An execution ended otherwise than by success, and the library will try the job again; the original has no such event."""

    exception_message: str | None
    """As of `JobFailed`."""


@dataclass(frozen=True, slots=True)
class JobDebounced(JobIdentity):
    """A job ended without an execution: revoked, expired or skipped."""
