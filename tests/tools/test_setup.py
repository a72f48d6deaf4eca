"""`make setup` where something is missing: one line that says what to install, and nothing half made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import setup  # noqa: E402  the files of tools/ are scripts, no package
import toolchain  # noqa: E402


def program(directory: Path, name: str, text: str) -> None:
    """A small shell script as a program."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a setup that fails says: one line."""
    sys.argv = ["tools/setup", *arguments]
    assert setup.main() == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, said
    return said[0]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree without an environment, in which `setup` works."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "rust", root / "rust")
    for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    for name, path in {"ROOT": root, "VENV": root / ".venv", "PYTHON": root / ".venv/bin/python", "STAMP": root / ".venv/stamp"}.items():
        monkeypatch.setattr(setup, name, path)
    monkeypatch.setattr(setup, "__file__", str(root / "tools" / "setup.py"))
    monkeypatch.setattr(sys, "argv", sys.argv)
    return root


def test_without_a_python_that_is_new_enough_it_says_which(clone: Path, tmp_path: Path) -> None:
    """Programs of the right names that cannot run, as version managers put on PATH, do not count."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "dirname").symlink_to(shutil.which("dirname") or "")
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        program(programs, name, "exit 1")
    done = subprocess.run([clone / "tools" / "setup"], env={"PATH": str(programs)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "Python 3.11 or newer" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("version", [None, "cargo 1.63.0 (fd9c4297c 2022-07-01)", "something else"])
def test_without_a_rust_that_is_new_enough_it_says_where_to_get_one(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str | None
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if version:
        program(programs, "cargo", f"echo '{version}'")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("CARGO_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(toolchain, "account_home", lambda: None)
    said = failed(capsys, "--without-tools")
    assert "https://rustup.rs" in said
    assert "1.95" in said
    assert not (clone / ".venv").exists()


def test_without_a_compiler_it_names_the_package(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    program(programs, "cargo", "echo 'cargo 1.99.0'")
    monkeypatch.setenv("PATH", str(programs))
    assert "gcc" in failed(capsys, "--without-tools")
    assert not (clone / ".venv").exists()


def test_without_rights_it_prints_the_command_that_installs_what_the_tests_need(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "sudo apt-get install -y --no-install-recommends redis-server valgrind strace chromium prometheus" in failed(capsys)


def test_as_root_only_what_is_missing_is_installed_and_no_service_is_left_enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package manager is a stand-in that writes down what it is asked, and how."""
    calls = tmp_path / "calls"
    for name in ("apt-get", "deb-systemd-helper", "update-rc.d"):
        program(tmp_path, name, f'echo "{name} $* offline=$SYSTEMD_OFFLINE runlevel=$RUNLEVEL" >> {calls}')
    for name in ("valgrind", "strace", "chromium", "promtool"):
        program(tmp_path, name, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(setup.SetupError, match="redis-server"):  # the stand-in brings nothing
        setup.install_tools(setup.missing_tools())
    assert calls.read_text().splitlines() == [
        "apt-get update -qq offline=1 runlevel=1",
        "apt-get install -y --no-install-recommends redis-server -qq offline=1 runlevel=1",
        "deb-systemd-helper disable redis-server.service offline=1 runlevel=1",
        "update-rc.d redis-server disable offline=1 runlevel=1",
    ]


def test_a_change_of_sources_or_requirements_or_place_is_noticed(clone: Path) -> None:
    before = setup.wanted()
    assert setup.wanted() == before
    with (clone / "rust" / "core" / "src" / "lib.rs").open("a") as file:
        file.write("// more\n")
    changed = setup.wanted()
    assert {name for name in before if before[name] != changed[name]} == {"extension"}
    with (clone / "pyproject.toml").open("a") as file:
        file.write("# more\n")
    again = setup.wanted()
    assert {name for name in before if changed[name] != again[name]} == {"requirements"}


def test_cargo_is_found_under_another_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """rustup's cargo only answers where it finds its toolchains: with an empty HOME it is told the account's."""
    account = tmp_path / "account"
    (account / ".cargo" / "bin").mkdir(parents=True)
    program(account / ".cargo" / "bin", "cargo", f'[ "$RUSTUP_HOME" = {account}/.rustup ] && echo "cargo 1.99.0"')
    monkeypatch.setattr(toolchain, "account_home", lambda: account)
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CARGO_HOME", "RUSTUP_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = toolchain.cargo_environment()
    assert found is not None
    path, environment = found
    assert path == str(account / ".cargo" / "bin" / "cargo")
    assert environment["RUSTUP_HOME"] == str(account / ".rustup")
    assert environment["PATH"].split(os.pathsep)[0] == str(account / ".cargo" / "bin")
