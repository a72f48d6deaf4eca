"""
Which lines of `rust/core` the tests run: those beside the code, and those that call it from Python.

The compiler counts (`-C instrument-coverage`), LLVM's tools of the same release read the counts. Files of tests are left out, but not the
modules of tests inside a file. Counts are kept in a mapped file, so that those of a child that was killed count too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from toolchain import MISSING_CARGO, ROOT, cargo_environment

TARGET = ROOT / "target" / "coverage"
PROFILES = TARGET / "profiles"
SOURCES = ROOT / "rust" / "core" / "src"
PYTHON = TARGET / "python"
MISSING_LLVM = "the reader of coverage is missing: rustup component add llvm-tools"


class CoverageError(Exception):
    """Something is missing or failed; the message says what to do."""


def say(text: str) -> None:
    """A word of progress."""
    print(f"coverage: {text}", file=sys.stderr, flush=True)


def output(words: list[str], environment: dict[str, str]) -> str:
    """What a command says on its standard output."""
    done = subprocess.run(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CoverageError(f"{' '.join(words[:3])} ... failed ({done.returncode})")
    return done.stdout


def llvm(cargo: str, environment: dict[str, str]) -> Path:
    """The folder of LLVM's tools that belong to this compiler; another release cannot read its counts."""
    compiler = shutil.which("rustc", path=f"{Path(cargo).parent}{os.pathsep}{environment['PATH']}") or "rustc"
    library = Path(output([compiler, "--print", "target-libdir"], environment).strip())
    tools = library.parent / "bin"
    if not all(os.access(tools / name, os.X_OK) for name in ("llvm-cov", "llvm-profdata")):
        raise CoverageError(MISSING_LLVM)
    return tools


def counting(environment: dict[str, str]) -> dict[str, str]:
    """The environment that builds with counters and keeps the counts."""
    return environment | {
        "CARGO_TARGET_DIR": str(TARGET),
        "CARGO_INCREMENTAL": "0",
        "PYO3_PYTHON": sys.executable,
        "RUSTFLAGS": "-C instrument-coverage -C llvm-args=-runtime-counter-relocation",
        "LLVM_PROFILE_FILE": str(PROFILES / "%m%c.profraw"),
    }


def build(cargo: str, environment: dict[str, str]) -> tuple[list[str], str]:
    """The tests beside the code as programs, and the extension; forgets earlier counts."""
    say("building with counters")
    messages = []
    for words in (["test", "--no-run", "--package", "queue-metrics-core", "--tests"], ["build", "--package", "queue-metrics-bindings"]):
        text = output([cargo, *words, "--locked", "--quiet", "--message-format=json"], environment)
        messages += [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    made = [message for message in messages if message["reason"] == "compiler-artifact"]
    programs = [message["executable"] for message in made if message["executable"] and message["profile"]["test"]]
    [extension] = [name for message in made for name in message["filenames"] if name.endswith("lib_core.so")]
    shutil.rmtree(PROFILES, ignore_errors=True)  # what was run to build has counted too
    PROFILES.mkdir(parents=True)
    return programs, extension


def run_rust(cargo: str, environment: dict[str, str]) -> None:
    """The tests beside the code."""
    say("tests of rust/core")
    words = [cargo, "test", "--locked", "--quiet", "--package", "queue-metrics-core", "--tests"]
    if code := subprocess.run(words, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode:
        raise CoverageError(f"the tests of rust/core failed ({code})")


def run_python(extension: str, tests: list[str], environment: dict[str, str]) -> int:
    """Tests from Python, with a copy of the package that has the counting extension: their exit code."""
    say(f"tests from Python: {' '.join(tests)}")
    shutil.rmtree(PYTHON, ignore_errors=True)
    shutil.copytree(ROOT / "python" / "queue_metrics", PYTHON / "queue_metrics", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy2(extension, PYTHON / "queue_metrics" / "_core.abi3.so")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", f"pythonpath={PYTHON} .", *tests]
    with_copy = environment | {"PYTHONPATH": str(PYTHON)}
    return subprocess.run(words, cwd=ROOT, env=with_copy, stdout=sys.stderr, check=False).returncode


def report(tools: Path, programs: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """What llvm-cov found, as it writes it: `files` and `totals`."""
    profile = TARGET / "tests.profdata"
    if not any(PROFILES.glob("*.profraw")):
        raise CoverageError("no test has counted anything")
    merge = [str(tools / "llvm-profdata"), "merge", "--sparse", "-o", str(profile)]
    output([*merge, *(str(path) for path in sorted(PROFILES.glob("*.profraw")))], environment)
    objects = [word for program in programs[1:] for word in ("--object", program)]
    words = [
        str(tools / "llvm-cov"),
        "export",
        "--summary-only",
        f"--instr-profile={profile}",
        programs[0],
        *objects,
        "--sources",
        str(SOURCES),
    ]
    data: dict[str, Any] = json.loads(output(words, environment))["data"][0]
    return data


def table(files: list[dict[str, Any]], least: float) -> str:
    """A line a file, the least covered first, and the total; files above `least` percent are only in the total."""
    lines = [("file", "lines", "missed", "covered", "functions")]
    total = {"lines": [0, 0], "functions": [0, 0]}
    rows = []
    for file in files:
        name = str(Path(file["filename"]).relative_to(SOURCES))
        if Path(name).stem == "tests" or "tests" in Path(name).parts[:-1]:
            continue
        counts = {kind: (file["summary"][kind]["count"], file["summary"][kind]["covered"]) for kind in total}
        for kind, (count, covered) in counts.items():
            total[kind][0] += count
            total[kind][1] += covered
        rows.append((share(counts["lines"]), name, counts))
    for covered, name, counts in sorted(rows):
        if covered <= least:
            lines.append((name, *cells(counts)))
    lines.append(("total", *cells({kind: (count, covered) for kind, (count, covered) in total.items()})))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join((line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)))) for line in lines
    )


def cells(counts: dict[str, tuple[int, int]]) -> tuple[str, str, str, str]:
    """Lines, missed lines, and the shares."""
    count, covered = counts["lines"]
    return str(count), str(count - covered), f"{share(counts['lines']):.1f} %", f"{share(counts['functions']):.1f} %"


def share(counts: tuple[int, int]) -> float:
    """Percent; a file without code is covered."""
    return 100 * counts[1] / counts[0] if counts[0] else 100.0


def main() -> int:
    """Print the table; exit 1 when something is missing or a test failed."""
    parser = argparse.ArgumentParser(prog="make coverage", description=__doc__.strip().splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--below", type=float, default=100.0, metavar="PERCENT", help="show only files with at most so many percent covered"
    )
    parser.add_argument("tests", nargs="*", default=["tests/core"], help="tests from Python that count too (default: tests/core)")
    arguments = parser.parse_args()
    try:
        found = cargo_environment()
        if found is None:
            raise CoverageError(MISSING_CARGO)
        cargo, environment = found
        tools = llvm(cargo, environment)
        environment = counting(environment)
        programs, extension = build(cargo, environment)
        run_rust(cargo, environment)
        code = run_python(extension, arguments.tests, environment)
        print(table(report(tools, [*programs, extension], environment)["files"], arguments.below))
        if code:
            raise CoverageError(f"the tests from Python failed ({code}): the table is of what they ran all the same")
    except CoverageError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
