"""What holds for every test: in CI none may be skipped, nowhere does one fail for being slow, and the long ones begin first."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import moment  # noqa: F401  read before the processes that run the tests begin

IN_CI = bool(os.environ.get("CI"))

# Hypothesis would fail an example that takes 200 ms, which on a busy machine any may.
BASE = settings.get_profile("ci" if IN_CI else "default")
settings.register_profile("any machine", BASE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
def unconfigured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests, and a folder of its own."""
    for name in [name for name in os.environ if name.startswith("QUEUE_METRICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have no long file be alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test is a failed one in CI: what is not run is not shown."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips itself when it is loaded."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed in CI: {report.longrepr}"
    return report
