"""
Private servers of PostgreSQL and MariaDB for tests: each on a free loopback port, with its data in a directory of its own.

    with PostgreSQLServer() as server:
        qm.connect(server.url)
        server.kill()                      # SIGKILL of all its processes, as a crash
        server.start()                     # with what it had written

Neither runs as root, so their data cannot lie below pytest's directories, which belong to root alone when the tests do.
"""

from __future__ import annotations

import abc
import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import pymysql

from tests.support.patience import PATIENCE
from tests.support.servers import binary, free_port


def _account(*names: str) -> dict[str, Any]:
    """Whom a server runs as: nobody in particular, when we are root."""
    if os.geteuid() != 0:
        return {}
    for name in (*names, "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise AssertionError("there is no user to run a server as")


def _directory(kind: str, account: dict[str, Any]) -> Path:
    """A new directory that belongs to the account and goes when the tests end."""
    path = Path(tempfile.mkdtemp(prefix=f"qm-{kind}-"))
    if account:
        os.chown(path, account["user"], account["group"])
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _state(task: Path) -> str:
    """The letter that the kernel has for what a thread does."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def _run(words: list[str], account: dict[str, Any]) -> None:
    done = subprocess.run(words, **account, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


class SQLServer(abc.ABC):
    """What both have in common. `options` are further words of the command line."""

    kind: str
    account: dict[str, Any]

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.options = options
        self.directory = _directory(self.kind, self.account)
        self._process: subprocess.Popen[bytes] | None = None
        # Faster than making another: a few dozen files.
        subprocess.run(["cp", "-a", f"{self._template()}/.", str(self.data)], check=True)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """For whoever may do all in an empty database."""

    @abc.abstractmethod
    def _template(self) -> Path:
        """A directory of data as a new server has it."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """What starts the server in the foreground."""

    @abc.abstractmethod
    def execute(self, *statements: str) -> list[Any]:
        """Run statements as the one who may do all; the rows of the last. Raises what the library raises."""

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not started"
        return self._process.pid

    def start(self) -> Self:
        """Start and wait for the first answer."""
        assert self._process is None, "the server runs already"
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command(), *self.options],
                **self.account,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C on the terminal is for the tests
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
            except (psycopg.Error, pymysql.MySQLError):
                if self._process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                text = (self.directory / "log").read_text(errors="replace")[-2000:]
                self.kill()
                raise AssertionError(f"{self.kind} did not start:\n{text}") from None
            return self

    def kill(self) -> None:
        """SIGKILL to all its processes: what a crash does."""
        if self._process is None:
            return
        for pid in [self.pid, *self._children()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._ended()

    def end(self, how: signal.Signals) -> None:
        """A signal to the server, and wait for its end."""
        if self._process is not None:
            self._process.send_signal(how)
            self._ended()

    def pause(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, nobody answers. Waits until every thread stands still."""
        for pid in [self.pid, *self._children()]:
            os.kill(pid, signal.SIGSTOP)
            deadline = time.monotonic() + PATIENCE
            while not all(_state(task) == "T" for task in Path(f"/proc/{pid}/task").iterdir()):
                assert time.monotonic() < deadline, "it does not stop"
                time.sleep(0.001)

    def resume(self) -> None:
        for pid in [self.pid, *self._children()]:
            os.kill(pid, signal.SIGCONT)

    def _children(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == self.pid:
                    found.append(int(entry.name))
        return found

    def _ended(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def running(self) -> Self:
        """Started, unless it runs; a paused one goes on."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None  # it ended by itself
        if self._process is None:
            return self.start()
        self.resume()
        return self

    def remove(self) -> None:
        """End it and forget what it held."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.running()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.remove()


def _postgresql(program: str) -> str:
    """Debian keeps the programs of each version in a directory of its own."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda home: float(home.parent.name))
    return str(homes[-1] / program) if homes else binary(program)


class PostgreSQLServer(SQLServer):
    """PostgreSQL. Without fsync: a crash of its processes loses nothing that the kernel has."""

    kind = "postgresql"
    account = _account("postgres")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @staticmethod
    @functools.cache
    def _template() -> Path:
        home = _directory("template", PostgreSQLServer.account) / "data"
        # Sorted by the rules of a language, as many databases are: nothing of ours may depend on that.
        words = ["-D", str(home), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        _run([_postgresql("initdb"), *words, "--locale-provider=icu", "--icu-locale=en-US"], PostgreSQLServer.account)
        return home

    def _command(self) -> list[str]:
        words = [_postgresql("postgres"), "-D", str(self.data), "-p", str(self.port), "-k", str(self.directory), "-F"]
        for setting in ("listen_addresses=127.0.0.1", "shared_buffers=32MB", "max_connections=60", "autovacuum=off"):
            words += ["-c", setting]
        return words

    def execute(self, *statements: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True, connect_timeout=60) as link:
            rows: list[Any] = []
            for statement in statements:
                cursor = link.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
            return rows


class MariaDBServer(SQLServer):
    """
    MariaDB. A commit reaches the kernel, not the disk: a crash of its process loses nothing.

    Each has temporary files of its own: one that starts removes those of others from the directory that it has.
    """

    kind = "mariadb"
    account = _account("mysql")

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/metrics"

    @staticmethod
    @functools.cache
    def _template() -> Path:
        home = _directory("template", MariaDBServer.account) / "data"
        words = ["--no-defaults", f"--datadir={home}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        words += ["--innodb-log-file-size=8M", "--skip-name-resolve", f"--tmpdir={home.parent}"]
        _run([binary("mariadb-install-db"), *words], MariaDBServer.account)
        (home / "metrics").mkdir()  # a database is a directory
        if MariaDBServer.account:
            os.chown(home / "metrics", MariaDBServer.account["user"], MariaDBServer.account["group"])
        return home

    def _command(self) -> list[str]:
        words = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.data}", f"--port={self.port}"]
        words += ["--bind-address=127.0.0.1", f"--socket={self.directory}/socket", f"--pid-file={self.directory}/pid"]
        words += [f"--tmpdir={self.directory}"]
        words += ["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=2", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M"]
        return [
            *words,
            "--innodb-file-per-table=0",
            "--innodb-use-native-aio=0",
            "--innodb-flush-method=nosync",
            "--skip-log-bin",
            "--max-connections=60",
        ]

    def execute(self, *statements: str) -> list[Any]:
        link: Any = pymysql.connect(host="127.0.0.1", port=self.port, user="root", database="metrics", autocommit=True, connect_timeout=60)
        with link, link.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())
