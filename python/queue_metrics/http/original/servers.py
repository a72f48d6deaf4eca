"""Servers as the original tells them."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from queue_metrics.http.original.fleet_shapes import (
    OriginalDisk,
    OriginalInterface,
    OriginalLoad,
    OriginalMemoryUse,
    OriginalResources,
    OriginalServer,
    OriginalServerHealth,
    OriginalServerHealthReply,
    OriginalServerJobs,
    OriginalServerReply,
    OriginalServersReply,
    OriginalSlimServer,
)
from queue_metrics.http.original.units import gigabytes, iso, megabytes, milliseconds, per_minute, percent, rounded
from queue_metrics.http.original.workers import count, utilization
from queue_metrics.insights import UnknownName
from queue_metrics.insights.everything import Everything
from queue_metrics.model import Advice, ServerAnswer, ServerSample, ServerStatus
from queue_metrics.model.servers import DiskUse, Interface, Load, MemoryUse


def servers(everything: Everything) -> OriginalServersReply:
    """`/servers`: every server rolled up, by hostname."""
    return {"data": {each.hostname: rolled_up(each, everything.now) for each in everything.servers}}


def server(everything: Everything, hostname: str | None) -> OriginalServerReply:
    """
    `/server`: the last sample of one server.

    Raises:
        UnknownName: nobody reports of the one that was named.
    """
    found = _one(everything.servers, hostname)
    if isinstance(found, str):
        return {"server_metrics": {"available": False, "error": found}}
    sample = _fresh(found)
    if sample is None:
        return {"server_metrics": {"available": False, "error": " ".join(issue.text for issue in found.health.issues)}}
    cpu = sample.cpu
    return {
        "server_metrics": {
            "available": True,
            "cpu": {
                "usage_percent": percent(sample.cpu_ratio),
                "user_percent": percent(cpu.user_ratio),
                "system_percent": percent(cpu.system_ratio),
                "idle_percent": percent(cpu.idle_ratio),
                "count": cpu.host_cores,
                "cores": rounded(cpu.cores),
                "load_average": _load(sample.load),
            },
            "memory": _memory(sample.memory, sample.memory_ratio),
            "disk": [_disk(each) for each in sample.disks or ()],
            "network": [_interface(each) for each in sample.interfaces or ()],
        }
    }


def server_health(everything: Everything, hostname: str | None) -> OriginalServerHealthReply:
    """
    `/server/health`: how one server is, and by which numbers.

    Raises:
        UnknownName: nobody reports of the one that was named.
    """
    found = _one(everything.servers, hostname)
    if isinstance(found, str):
        nothing: OriginalServerHealth = {"status": ServerStatus.UNKNOWN, "score": 0, "issues": [found], "timestamp": int(everything.now)}
        return {"health": nothing, "metrics": None}
    sample = _fresh(found)
    return {
        "health": {
            "status": found.health.status,
            "score": found.health.score,
            "issues": [issue.text for issue in found.health.issues],
            "timestamp": int(everything.now),
        },
        "metrics": None
        if sample is None
        else {
            "cpu_usage_percent": percent(sample.cpu_ratio),
            "memory_usage_percent": percent(sample.memory_ratio),
            "load_average_1min": sample.load.over_1_minute,
            "disk_usage": [{"mountpoint": each.mountpoint, "usage_percent": percent(each.usage_ratio)} for each in sample.disks or ()],
        },
    }


def rolled_up(answer: ServerAnswer, now: float) -> OriginalServer:
    """A server with its workers and jobs."""
    processes, capacity, lately = answer.processes, answer.capacity, answer.jobs
    told: OriginalServer = {
        "hostname": answer.hostname,
        "queue_workers": {"count": count(answer.workers), "utilization": utilization(answer.workers)},
        "job_processing": {
            "lifetime": _jobs(answer),
            "current": {
                "jobs_per_minute": None if lately is None else per_minute(lately.per_second),
                "avg_duration_ms": None if lately is None else milliseconds(lately.runtime_mean_seconds),
            },
        },
        "worker_processes": {
            "avg_memory_per_worker_mb": megabytes(processes.rss_mean_bytes),
            "avg_cpu_per_worker_percent": percent(processes.cpu_mean_ratio),
            "peak_memory_mb": megabytes(processes.rss_peak_bytes),
            "total_memory_mb": megabytes(processes.rss_total_bytes),
        },
        "capacity": {"recommendation": None if capacity is None or capacity.advice is Advice.KEEP else capacity.text},
        "timestamp": iso(now),
    }
    sample = _fresh(answer)
    if sample is not None:
        told["server_resources"] = _resources(sample)
    return told


def slim(answer: ServerAnswer) -> OriginalSlimServer:
    """A server at a glance."""
    told: OriginalSlimServer = {
        "hostname": answer.hostname,
        "workers": {**count(answer.workers), **utilization(answer.workers)},
        "jobs": _jobs(answer),
    }
    sample = _fresh(answer)
    if sample is not None:
        told["server_resources"] = _resources(sample)
    return told


def _one(answers: Sequence[ServerAnswer], hostname: str | None) -> ServerAnswer | str:
    """The server that was named; else the machine that answers, or the only one; else why there is none."""
    wanted = socket.gethostname() if hostname is None else hostname
    found = next((each for each in answers if each.hostname == wanted), None)
    if found is not None:
        return found
    if hostname is not None:
        raise UnknownName(f"no server {hostname!r}")
    if len(answers) == 1:
        return answers[0]
    if not answers:
        return "No server reports how it is."
    return "Several servers report and this machine is none of them: name one with ?hostname=, as /servers lists them."


def _fresh(answer: ServerAnswer) -> ServerSample | None:
    """Its sample, if it says anything about now."""
    return None if answer.health.status is ServerStatus.UNKNOWN else answer.sample


def _jobs(answer: ServerAnswer) -> OriginalServerJobs:
    if answer.jobs is None:
        return {"total_processed": None, "total_failed": None, "failure_rate_percent": None}
    failure = answer.jobs.failure
    return {
        "total_processed": failure.n - failure.part,
        "total_failed": failure.part,
        "failure_rate_percent": percent(failure.ratio),
    }


def _resources(sample: ServerSample) -> OriginalResources:
    memory = sample.memory
    return {
        "available": True,
        "cpu": {"cores": rounded(sample.cpu.cores), "usage_percent": percent(sample.cpu_ratio), "load_average": _load(sample.load)},
        "memory": {
            "total_mb": megabytes(memory.total_bytes),
            "used_mb": megabytes(memory.used_bytes),
            "available_mb": megabytes(memory.available_bytes),
            "usage_percent": percent(sample.memory_ratio),
        },
    }


def _load(load: Load) -> OriginalLoad:
    return {"1min": load.over_1_minute, "5min": load.over_5_minutes, "15min": load.over_15_minutes}


def _memory(memory: MemoryUse, ratio: float | None) -> OriginalMemoryUse:
    return {
        "total_bytes": memory.total_bytes,
        "total_mb": megabytes(memory.total_bytes),
        "total_gb": gigabytes(memory.total_bytes),
        "available_bytes": memory.available_bytes,
        "available_mb": megabytes(memory.available_bytes),
        "available_gb": gigabytes(memory.available_bytes),
        "used_bytes": memory.used_bytes,
        "used_mb": megabytes(memory.used_bytes),
        "used_gb": gigabytes(memory.used_bytes),
        "usage_percent": percent(ratio),
        "cached_bytes": memory.cached_bytes,
        "cached_mb": megabytes(memory.cached_bytes),
        "buffers_bytes": memory.buffers_bytes,
        "buffers_mb": megabytes(memory.buffers_bytes),
    }


def _disk(disk: DiskUse) -> OriginalDisk:
    return {
        "mountpoint": disk.mountpoint,
        "filesystem": disk.filesystem,
        "total_bytes": disk.total_bytes,
        "total_gb": gigabytes(disk.total_bytes),
        "used_bytes": disk.used_bytes,
        "used_gb": gigabytes(disk.used_bytes),
        "available_bytes": disk.available_bytes,
        "available_gb": gigabytes(disk.available_bytes),
        "usage_percent": percent(disk.usage_ratio),
    }


def _interface(interface: Interface) -> OriginalInterface:
    return {
        "name": interface.name,
        "bytes_sent": interface.bytes_sent,
        "bytes_received": interface.bytes_received,
        "packets_sent": interface.packets_sent,
        "packets_received": interface.packets_received,
        "errors_in": interface.errors_in,
        "errors_out": interface.errors_out,
        "drops_in": interface.drops_in,
        "drops_out": interface.drops_out,
    }
