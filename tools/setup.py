"""
Makes `.venv` with everything the Makefile needs; a second call finds that nothing changed and ends.

Standard library only: it runs before anything is installed. It never touches what lies outside the repository, but
for Debian packages that the tests need, and those only as root.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from toolchain import MISSING_CARGO, MISSING_CC, cargo_environment

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "queue-metrics-setup.json"
EXTRAS = "redis,postgresql,mysql,http,celery,huey"

# What the tests start or ask, by the Debian package that brings it.
TOOLS = {
    "redis-server": "redis-server",
    "valgrind": "valgrind",
    "strace": "strace",
    "chromium": "chromium",
    "promtool": "prometheus",
    "mariadbd": "mariadb-server",
    "initdb": "postgresql",
}
SERVICES = ("redis-server", "prometheus", "mariadb", "mariadb-server", "postgresql")  # what brings a service, which must not start


class SetupError(Exception):
    """Something is missing that a person has to install; the message says what and how."""


def say(text: str) -> None:
    """A word of progress."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def digest(paths: Sequence[Path]) -> str:
    """One fingerprint of the contents and names of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def wanted() -> dict[str, str]:
    """What the environment must correspond to: its place, the requirements, the sources of the extension."""
    sources = [ROOT / "Cargo.toml", ROOT / "Cargo.lock", ROOT / "tools" / "build_backend.py"]
    sources += (path for kind in ("*.rs", "Cargo.toml") for path in (ROOT / "rust").rglob(kind))
    return {
        "root": str(ROOT),
        "requirements": digest([ROOT / "pyproject.toml", Path(__file__).resolve()]),
        "extension": digest(sources),
    }


def present() -> dict[str, str]:
    """What the environment was last made for; empty when it was not, or cannot run."""
    if not (PYTHON.exists() and STAMP.exists() and any((ROOT / "python" / "queue_metrics").glob("_core*.so"))):
        return {}
    try:
        stamp = json.loads(STAMP.read_text())
    except ValueError:
        return {}
    return stamp if isinstance(stamp, dict) else {}


def missing_tools() -> list[str]:
    """Names of programs the tests need that are not there."""
    # Where Debian keeps what only root and other programs start.
    hidden = [*map(str, Path("/usr/lib/postgresql").glob("*/bin")), "/usr/sbin", "/usr/local/sbin"]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *hidden])
    return [tool for tool in TOOLS if shutil.which(tool, path=path) is None]


def run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run a command to its end, its output shown; SetupError when it fails."""
    status = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode
    if status != 0:
        raise SetupError(f"this failed with exit code {status}: {' '.join(map(str, command))}")


def pip(*arguments: str, environment: dict[str, str] | None = None) -> None:
    """pip of the environment, saying only what went wrong."""
    run([PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *arguments], environment)


def make_environment(fresh: bool) -> None:
    """Make `.venv` unless there is one that runs and belongs to this place."""
    usable = not fresh and PYTHON.exists()
    if usable:
        probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
        usable = subprocess.run([PYTHON, "-c", probe], stderr=subprocess.DEVNULL, check=False).returncode == 0
    if usable:
        return
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(f"{sys.executable} cannot make virtual environments; on Debian: apt-get install -y python3-venv")
    say(f"making .venv with Python {'.'.join(map(str, sys.version_info[:3]))}")
    run([sys.executable, "-m", "venv", "--clear", VENV])


def install(previous: dict[str, str], target: dict[str, str]) -> None:
    """Bring the environment from what it was made for to what is wanted."""
    found = cargo_environment()
    if found is None:
        raise SetupError(MISSING_CARGO)
    if not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")):
        raise SetupError(MISSING_CC)
    make_environment(fresh=previous.get("root") not in (None, str(ROOT)))
    STAMP.unlink(missing_ok=True)
    environment = found[1]
    environment["PATH"] = f"{VENV / 'bin'}{os.pathsep}{environment['PATH']}"  # where the build backend looks for maturin
    editable = ["--no-build-isolation", "--editable"]
    if previous.get("requirements") != target["requirements"] or not previous:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        say("installing what the build, the tests and the checks need (a few minutes the first time)")
        pip(*project["build-system"]["requires"], *project["dependency-groups"]["dev"])
        say("building the extension and installing the package (a minute or two the first time)")
        pip(*editable, f".[{EXTRAS}]", environment=environment)
    else:
        say("the Rust sources changed: building the extension again")
        pip("--no-deps", *editable, ".", environment=environment)
    STAMP.write_text(json.dumps(target))


def install_tools(missing: Sequence[str]) -> None:
    """Install Debian packages for the missing programs when we may, else say how."""
    packages = [TOOLS[tool] for tool in missing]
    by_apt = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(f"the tests need {', '.join(missing)}; run: sudo {' '.join(by_apt)} (package names of Debian)")
    say(f"installing Debian packages: {' '.join(packages)}")
    # The tests start servers of their own on spare ports: the packages' services neither start now (systemd skips offline, init
    # scripts have no place in runlevel 1) nor at the next boot.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_OFFLINE": "1", "RUNLEVEL": "1"}
    run(["apt-get", "update", "-qq"], environment)
    run([*by_apt, "-qq"], environment)
    for service in set(packages) & set(SERVICES):
        for command in (["deb-systemd-helper", "disable", f"{service}.service"], ["update-rc.d", service, "disable"]):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    still = missing_tools()
    if still:
        raise SetupError(f"after installing {' '.join(packages)} still not on PATH: {', '.join(still)}")


def main() -> int:
    """Exit code 0 when everything is there; with --current only ask."""
    parser = argparse.ArgumentParser(prog="tools/setup", description="Make .venv with everything the Makefile needs.")
    parser.add_argument("--current", action="store_true", help="change nothing; exit 0 when nothing is to be done")
    parser.add_argument("--without-tools", action="store_true", help="leave out the servers and programs that only tests need")
    arguments = parser.parse_args()
    with_tools = not arguments.without_tools
    if arguments.current:
        return 0 if present() == wanted() and not (with_tools and missing_tools()) else 1
    directory = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # two makes at once: the second waits and finds it done
        missing = missing_tools() if with_tools else []
        if missing:
            install_tools(missing)
        previous, target = present(), wanted()
        if previous != target:
            install(previous, target)
            say("done")
        return 0
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    finally:
        os.close(directory)


if __name__ == "__main__":
    sys.exit(main())
