"""
Finds cargo as a user's shell would, also where no shell profile was read.

Run as a script it is cargo: `python tools/toolchain.py test --locked`.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = tuple(map(int, tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"].split(".")[:2]))
MISSING_CARGO = f"Rust {OLDEST[0]}.{OLDEST[1]} or newer is needed: install it from https://rustup.rs and run the command again"
MISSING_CC = "a C compiler is needed as linker: apt-get install -y gcc libc6-dev (or your system's equivalent)"


def account_home() -> Path | None:
    """The home directory of this account whatever HOME says; None without an entry."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def candidates() -> Iterator[tuple[Path, dict[str, str]]]:
    """Places where cargo may be, each with what its environment needs; best first."""
    found = shutil.which("cargo")
    if found:
        yield Path(found), {}
    if os.environ.get("CARGO_HOME"):
        yield Path(os.environ["CARGO_HOME"]) / "bin" / "cargo", {}
    homes = [Path(os.environ["HOME"])] if os.environ.get("HOME") else []
    account = account_home()
    if account:
        homes.append(account)
    for home in homes:
        # rustup's cargo looks for its toolchains under HOME: with another HOME it has to be told where they are.
        yield home / ".cargo" / "bin" / "cargo", {"CARGO_HOME": str(home / ".cargo"), "RUSTUP_HOME": str(home / ".rustup")}
        if found:
            yield Path(found), {"CARGO_HOME": str(home / ".cargo"), "RUSTUP_HOME": str(home / ".rustup")}


def cargo_environment() -> tuple[str, dict[str, str]] | None:
    """The path of a cargo that is new enough and the environment to run it in; None when there is none."""
    for path, extra in candidates():
        environment = os.environ | extra
        if not os.access(path, os.X_OK):
            continue
        answer = subprocess.run([path, "--version"], env=environment, capture_output=True, text=True, check=False)
        version = re.match(r"cargo (\d+)\.(\d+)", answer.stdout)
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            environment["PATH"] = f"{path.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            return str(path), environment
    return None


def main() -> int:
    """Be cargo, with the arguments of the command line."""
    found = cargo_environment()
    if found is None:
        print(MISSING_CARGO, file=sys.stderr)
        return 1
    path, environment = found
    # The bindings are built against this interpreter, not against whichever `python3` comes first.
    environment.setdefault("PYO3_PYTHON", sys.executable)
    os.execve(path, [path, *sys.argv[1:]], environment)


if __name__ == "__main__":
    sys.exit(main())
