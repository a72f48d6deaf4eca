"""The tutorial, done as it says: its file, its worker, its server and its lines, beside a Redis of this test's own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.recording.tools import environment
from tests.support.installed import not_brought
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer
from tests.test_docs import ROOT, blocks, page

NAME = "docs/tutorial.md"
STAYS = ("celery ", "queue-metrics serve")
"""What runs until it is stopped."""


def lines() -> list[tuple[str, str]]:
    """Each command, and what is said to be in its output."""
    found = [line for block in blocks(page(NAME), "shell") for line in block.text.splitlines()]
    return [(line.partition(" # ")[0].strip(), line.partition(" # ")[2].strip()) for line in found]


def extras() -> list[str]:
    """What is to be installed with the package."""
    ((command, _),) = [line for line in lines() if line[0].startswith("pip ")]
    found = re.fullmatch(r'pip install "\.\[([\w,]+)\]"', command)
    assert found
    return found[1].split(",")


class Place:
    """A directory with the file of the tutorial, and the addresses that stand here for those of the page."""

    def __init__(self, directory: Path, redis: str) -> None:
        self.directory = directory
        self.addresses = {"redis://localhost:6379": redis}
        (code,) = blocks(page(NAME), "python")
        (directory / "shop.py").write_text(self.here(code.text))
        commands = directory / "bin"
        commands.mkdir()
        for name, module in (("python", ""), ("celery", "-m celery"), ("queue-metrics", "-m queue_metrics")):
            (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
            (commands / name).chmod(0o755)
        self.environment = {
            **environment(),
            "PYTHONPATH": os.pathsep.join((os.fspath(ROOT / "tests" / "support" / "absent"), environment()["PYTHONPATH"])),
            "QM_TEST_ABSENT": " ".join(not_brought(extras())),
            "PATH": f"{commands}:{os.environ['PATH']}",
            "QUEUE_METRICS_STATE_DIR": os.fspath(directory / "state"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def here(self, text: str) -> str:
        for theirs, ours in self.addresses.items():
            text = text.replace(theirs, ours)
        return text

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", self.here(command)],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout + done.stderr

    @contextmanager
    def running(self, command: str) -> Iterator[Path]:
        """A command in the background; its output. It is stopped as by Ctrl-C in its terminal."""
        log = self.directory / f"{command.split(maxsplit=1)[0]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {self.here(command)}"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield log
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def serve(self, log: Path) -> None:
        """Wait until it says where it is, which is taken for the page's address from now on."""
        until = time.monotonic() + PATIENCE
        while (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())) is None:
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        self.addresses["http://127.0.0.1:8787"] = found[0]


def test_every_line_of_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    missing = []
    with RedisServer(tmp_path) as redis, ExitStack() as stack:
        place = Place(tmp_path, f"redis://{urlsplit(redis.url).netloc}")
        for command, told in lines():
            if command.startswith("pip "):
                continue  # everything else runs with what it brings, and nothing else that is installed here
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                place.environment[name] = place.here(value)
            elif command.startswith(STAYS):
                log = stack.enter_context(place.running(command + (" --port 0" if "serve" in command else "")))
                if "serve" in command:
                    place.serve(log)
            else:
                assert told, f"{command}: the page does not say what comes of it"
                until, again = time.monotonic() + PATIENCE, not command.startswith("python ")
                while place.here(told) not in (said := place.run(command)):
                    if not again or time.monotonic() > until:
                        missing.append(f"{command}: {told!r} is not in {said!r}")
                        break
                    time.sleep(0.2)
    assert missing == []


@pytest.mark.parametrize("beginning", [*STAYS, "curl ", "python ", "export "])
def test_the_tutorial_has_each_kind_of_line(beginning: str) -> None:
    assert any(command.startswith(beginning) for command, _ in lines())
