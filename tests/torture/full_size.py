"""Tests of the suite that take their size from `QM_TEST_SCALE`, at the size for which they were written."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.flow.checks import Claim

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Part:
    """Some tests, by what pytest calls them."""

    name: str
    tests: tuple[str, ...]
    scale: float
    """What makes them of full size."""


PARTS = (
    Part("100,000 generated executions on every driver", ("tests/storage/test_executions.py",), 50),
    Part(
        "200 answers lost at each point, on Redis and SQL",
        (
            "tests/storage/test_redis_lost_answers.py::test_a_batch_whose_connection_was_cut_is_sent_again_and_counts_once",
            "tests/storage/test_sql_servers.py::test_an_answer_that_is_lost_is_asked_for_again_and_counted_once",
        ),
        20,
    ),
    Part("stores that go back", ("tests/storage/test_redis_faults.py", "tests/storage/test_sql_servers.py", "-k", "cut or forgot"), 5),
    Part(
        "any calls in any order on every driver",
        ("tests/storage/test_any_calls.py::test_any_calls_in_any_order_answer_as_the_plain_ones_do",),
        10,
    ),
    Part("any batches in any order on every driver", ("tests/storage/test_equality.py",), 10),
    Part("each failing system call with each of five errors", ("tests/faults/test_system_calls.py",), 5),
    Part("whatever schemathesis asks over HTTP", ("tests/http/test_schemathesis.py",), 70),
    Part(
        "verdicts on the depth of 800 hours of M/M/4, by way of journal and store",
        (
            "tests/insights/test_depth_verdict.py::test_a_stable_queue_is_not_called_growing_and_an_overloaded_one_is",
            "tests/insights/test_depth_verdict.py::test_of_many_more_hours_by_their_numbers_alone",
        ),
        5,
    ),
)


def run(part: Part, share: float, directory: Path) -> dict[str, Any]:
    """
    Run tests at a share of their full size; what they recorded of themselves, added up, and what they said when one failed.

    Those that draw what they ask draw it anew each time; `QM_TEST_SEED` is said when they fail.
    """
    directory.mkdir(parents=True)
    report = directory / "report.xml"
    seed = os.environ.get("QM_TEST_SEED") or str(random.SystemRandom().randrange(2**32))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=1800", f"--junitxml={report}"]
    words += ["-o", "junit_family=xunit1", *part.tests]
    ran = subprocess.run(
        words,
        cwd=ROOT,
        env=os.environ | {"QM_TEST_SCALE": f"{part.scale * share:g}", "QM_TEST_SEED": seed},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    told: Counter[str] = Counter()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        told["tests"] += int(suite.attrib["tests"])
        told["skipped"] += int(suite.attrib["skipped"])
        for found in suite.iter("property"):
            if not found.attrib["name"].startswith("hypothesis-"):  # its own statistics, as text
                told[found.attrib["name"]] += int(found.attrib["value"])
    claims = [
        Claim("every test holds", f"QM_TEST_SEED={seed}: {ran.stdout[-3_000:]}" if ran.returncode else "", ran.returncode == 0),
        Claim("all of them ran", f"{told['tests']} tests, {told['skipped']} skipped", told["tests"] > 0 and told["skipped"] == 0),
    ]
    return {"answer": dict(told), "claims": claims}
