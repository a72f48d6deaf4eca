"""The front door: importing the package loads next to nothing, and every name of it is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import queue_metrics

HEAVY = [
    "asyncio",
    "sqlite3",
    "redis",
    "celery",
    "huey",
    "numpy",
    "dataclasses",
    "logging",
    "json",
    "typing",
    "starlette",
    "uvicorn",
    "threading",
    "tomllib",
    "queue_metrics._core",
    "queue_metrics.config",
    "queue_metrics.storage",
    "queue_metrics.hooks",
    "queue_metrics.recording",
    "queue_metrics.http",
    "queue_metrics.insights",
]


def loaded_by(code: str) -> set[str]:
    """The modules that `code` loads beyond those of a bare interpreter."""
    script = f"import sys; before = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    path = next(path for path in map(str, queue_metrics.__path__))
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {path!r}.rpartition('/')[0])\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_only_itself() -> None:
    loaded = loaded_by("import queue_metrics")
    assert not loaded & set(HEAVY)
    assert loaded == {"queue_metrics"} | (loaded & {"__future__"})


def test_instrument_loads_no_driver_no_job_library_and_no_event_loop() -> None:
    loaded = loaded_by("from queue_metrics import instrument")
    assert not loaded & {"asyncio", "sqlite3", "redis", "celery", "huey", "numpy", "starlette", "tomllib"}
    assert not any(name.startswith(("queue_metrics.http", "queue_metrics.insights", "queue_metrics.cli")) for name in loaded)


@pytest.mark.parametrize("name", queue_metrics.__all__)
def test_every_name_of_the_front_door_leads_somewhere(name: str) -> None:
    assert getattr(queue_metrics, name) is not None
    assert name in dir(queue_metrics)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'instrumant'"):
        queue_metrics.instrumant  # noqa: B018


@pytest.mark.parametrize("first", ["from queue_metrics.instrument import Instrumentation", "import queue_metrics.instrument", "qm.track"])
def test_instrument_is_the_function_whatever_was_imported_first(first: str) -> None:
    assert "ok" in loaded_by(f"import queue_metrics as qm\n{first}\nassert callable(qm.instrument), qm.instrument\nprint('ok')")
