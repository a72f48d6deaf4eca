"""
Private servers for tests: each on a free loopback port, with its data in the test's own directory.

    with RedisServer(tmp_path) as server:
        qm.connect(server.url)
        server.kill()                      # SIGKILL, as a crash
        server.start()                     # with what it had written; start(empty=True) without
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.patience import PATIENCE


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary(name: str) -> str:
    """The path of a server's program; without it the test fails in CI and is skipped, with a warning, elsewhere."""
    if path := shutil.which(name):
        return path
    message = f"{name} is not installed; `make setup` installs it or says how"
    if os.environ.get("CI"):
        pytest.fail(message)
    warnings.warn(message, stacklevel=2)
    pytest.skip(message)


class RedisServer:
    """
    A private redis-server. Every accepted write is in its append-only file, so a restart finds it, also after a kill.

    Args:
        directory: its data and log go to a folder made here.
        options: further words of its command line, such as `"--maxmemory", "2mb"`.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self.options = options
        self._program = binary("redis-server")
        self._directory = directory / f"redis-{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not started"
        return self._process.pid

    def start(self, *, empty: bool = False) -> Self:
        """Start and wait for the first PONG; `empty` forgets what an earlier life had written."""
        assert self._process is None, "the server runs already"
        if empty:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._directory / "log").open("ab") as log:
            place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._directory), "--daemonize", "no"]
            self._process = subprocess.Popen(
                [self._program, *place, "--save", "", "--appendonly", "yes", "--appendfsync", "no", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C on the terminal is for the tests
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = (self._directory / "log").read_text(errors="replace")[-2000:]
                self.kill()
                raise AssertionError(f"redis-server did not start:\n{text}")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Shut down in an orderly way; nothing happens when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what a crash or the out-of-memory killer does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def snapshot(self) -> bytes:
        """A copy of all that is in it; for a server with `"--appendonly", "no"`, whose start reads such a copy."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as link:
            link.sendall(b"SAVE\r\n")
            answer = link.recv(64)
        assert answer.startswith(b"+OK"), answer
        return (self._directory / "dump.rdb").read_bytes()

    def restore(self, snapshot: bytes) -> None:
        """What a start will find."""
        assert self._process is None, "the server would not look"
        (self._directory / "dump.rdb").write_bytes(snapshot)

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.kill()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)  # a paused one would not hear SIGTERM
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        """Whether it serves; any answer but LOADING counts, with a password it is NOAUTH."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
            link.sendall(b"PING\r\n")
            answer = link.recv(64)
            return bool(answer) and not answer.startswith(b"-LOADING")
        return False
