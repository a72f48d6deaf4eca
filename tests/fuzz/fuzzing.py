"""
Builds the fuzz targets and runs them side by side.

The suite changes the seeds at random, by a runner of our own that is built as the tests of the core are. `make torture` is guided by
coverage under the address sanitizer where there is a nightly toolchain and a C++ compiler; else the runner of our own goes at full speed.
No target is ever left out.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CARGO: tuple[str | Path, ...] = (sys.executable, ROOT / "tools" / "toolchain.py")
BUILD = ("build", "--locked", "--quiet", "--package", "queue-metrics-fuzz", "--message-format", "json")
FAST = (*BUILD, "--profile", "fuzz")
DECODERS = frozenset({"segment", "page", "heartbeat", "value", "names", "spool"})
COVERAGE = (
    "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
    " -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Zsanitizer=address"
)
MOST_MEMORY = 1_024
"""MiB of one run, with the sanitizer's shadow and the corpus; what an input may take is bounded by the targets themselves."""
DONE = re.compile(r"Done (\d+) runs|: (\d+) inputs")


class Fuzzed(NamedTuple):
    """What came of one target: how many inputs it was given, and what it said when one broke a promise."""

    target: str
    inputs: int
    broken: str


@dataclass(frozen=True)
class Runner:
    """The built programs."""

    steady: Path
    guided: Path | None

    def __str__(self) -> str:
        return "libFuzzer, address sanitizer" if self.guided else "random changes, no coverage"

    def targets(self) -> list[str]:
        return subprocess.run([self.steady, "list"], capture_output=True, text=True, check=True).stdout.split()

    def run(self, directory: Path, seconds: float, seed: int) -> list[Fuzzed]:
        """Every target for so many seconds, all at once; inputs that broke a promise stay in the directory."""
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="queue-metrics-fuzz-", dir=memory) as scratch:
            started = [(name, *self._start(name, directory / name, scratch, seconds, seed)) for name in self.targets()]
            try:
                return [self._ended(name, process, log, seconds) for name, process, log in started]
            finally:
                for _, process, _ in started:
                    process.kill()
                    process.wait()

    def _start(self, name: str, place: Path, scratch: str, seconds: float, seed: int) -> tuple[subprocess.Popen[bytes], Path]:
        corpus, log = place / "corpus", place / "log"
        corpus.mkdir(parents=True)
        subprocess.run([self.steady, "seeds", name, corpus], check=True)
        command: list[str | Path] = [self.steady, name, f"{seconds:g}", str(seed)]
        if self.guided:
            bounds = [f"-max_total_time={max(1, round(seconds))}", f"-rss_limit_mb={MOST_MEMORY}", "-timeout=20", "-max_len=16384"]
            command = [self.guided, *bounds, f"-seed={seed % 2**31 or 1}", f"-artifact_prefix={place}/", corpus]
        with log.open("wb") as file:
            environment = os.environ | {"QM_FUZZ_TARGET": name, "TMPDIR": scratch}
            # Six that never wait: what is tested beside them goes first.
            return subprocess.Popen(["nice", "-n", "10", *command], stdout=file, stderr=file, env=environment, cwd=place), log

    def _ended(self, name: str, process: subprocess.Popen[bytes], log: Path, seconds: float) -> Fuzzed:
        status = process.wait(seconds * 2 + 120)
        told = log.read_text(errors="replace")
        done = DONE.findall(told)
        if status or not done:
            return Fuzzed(name, 0, f"exit code {status}, see {log.parent}:\n{told[-3_000:]}")
        return Fuzzed(name, int("".join(done[-1])), "")


def checked() -> Runner:
    """The runner of our own as tests are built: every check on, nothing optimised."""
    return Runner(_build([*CARGO, *BUILD, "--bin", "steady"], os.environ), None)


def guided() -> Runner:
    """The best that this machine can run; its first build takes minutes."""
    steady = _build([*CARGO, *FAST, "--bin", "steady"], os.environ)
    # Nothing is installed by asking for a toolchain.
    environment = os.environ | {"RUSTUP_AUTO_INSTALL": "0"}
    asked = subprocess.run([*CARGO, "+nightly", "--version"], env=environment, capture_output=True, check=False)
    if asked.returncode or shutil.which("c++") is None:
        return Runner(steady, None)
    triple = f"{platform.machine()}-unknown-linux-gnu"
    command = [*CARGO, "+nightly", *FAST, "--features", "libfuzzer", "--bin", "guided", "--target", triple]
    try:
        return Runner(steady, _build(command, environment | {"RUSTFLAGS": COVERAGE}))
    except subprocess.CalledProcessError as error:
        warnings.warn(f"fuzzing without coverage, since libFuzzer could not be built: {error.stderr[-1_000:]}", stacklevel=2)
        return Runner(steady, None)


def _build(command: Sequence[str | Path], environment: Mapping[str, str]) -> Path:
    # A group of its own: cargo that is killed leaves its compilers behind.
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as building:
        try:
            told, why = building.communicate()
        except BaseException:
            os.killpg(building.pid, signal.SIGKILL)
            raise
    if building.returncode:
        raise subprocess.CalledProcessError(building.returncode, command, told, why)
    made = [json.loads(line).get("executable") for line in told.splitlines()]
    return Path(next(path for path in reversed(made) if path))
