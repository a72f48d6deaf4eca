"""Every error that redis-py and sqlite3 know becomes one of ours: what may pass is unavailable, what somebody must mend is refused."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest
import redis.exceptions
import redis.sentinel

from queue_metrics.errors import StoreError, StoreRefused, StoreUnavailable
from queue_metrics.storage import DatabaseStorageDriver, redis_errors

URL = "redis://:***@h/0"

PASSING = {
    "ConnectionError",
    "TimeoutError",
    "BusyLoadingError",
    "MaxConnectionsError",
    "ReadOnlyError",
    "OutOfMemoryError",
    "MasterNotFoundError",
    "SlaveNotFoundError",
    "AskError",
    "MovedError",
    "TryAgainError",
    "ClusterDownError",
    "MasterDownError",
    "ClusterError",
    "SlotNotCoveredError",
    "ChildDeadlockedError",
    "ExternalAuthProviderError",
}
"""Of redis-py 5.3 and 8.1."""

ANSWERS = {
    "LOADING Redis is loading the dataset in memory": True,
    "BUSY Redis is busy running a script": True,
    "OOM command not allowed when used memory > 'maxmemory'": True,
    "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk": True,
    "READONLY You can't write against a read only replica.": True,
    "MASTERDOWN Link with MASTER is down": True,
    "CLUSTERDOWN The cluster is down": True,
    "TRYAGAIN Multiple keys request during rehashing of slot": True,
    "NOREPLICAS Not enough good replicas to write.": True,
    "NOAUTH Authentication required.": False,
    "WRONGPASS invalid username-password pair or user is disabled.": False,
    "NOPERM this user has no permissions to run the 'evalsha' command": False,
    "WRONGTYPE Operation against a key holding the wrong kind of value": False,
    "CROSSSLOT Keys in request don't hash to the same slot": False,
    "EXECABORT Transaction discarded because of previous errors.": False,
    "ERR unknown command 'EVALSHA'": False,
}


def made(kind: type[Exception]) -> Exception:
    """An error of a class, as its library makes it."""
    words = "1234 10.0.0.1:7000" if issubclass(kind, redis.exceptions.AskError) else "words"
    return kind(words)


def translated(error: Exception) -> StoreError:
    with pytest.raises(StoreError) as found, redis_errors.translated(URL):
        raise error
    return found.value


def test_every_class_of_redis_py_becomes_one_of_ours() -> None:
    modules = (redis.exceptions, redis.sentinel)
    every = {one for module in modules for one in vars(module).values() if isinstance(one, type) and issubclass(one, Exception)}
    classes = {one for one in every if one.__module__.startswith("redis.")}
    assert len(classes) >= 30
    passing = set()
    for kind in classes:
        error = translated(made(kind))
        assert str(error).startswith(f"{URL}: ")
        assert type(error) in (StoreUnavailable, StoreRefused)
        if isinstance(error, StoreUnavailable):
            passing.add(kind.__name__)
    assert passing == PASSING & {kind.__name__ for kind in classes}
    assert len(passing) >= 14


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "refused"), BrokenPipeError(32, "gone"), TimeoutError("late"), socket.gaierror(-2, "who")]
)
def test_what_the_socket_raises_may_pass(error: Exception) -> None:
    assert isinstance(translated(error), StoreUnavailable)


@pytest.mark.parametrize(("answer", "passing"), ANSWERS.items())
def test_an_answer_of_the_server_is_known_by_its_first_word(answer: str, passing: bool) -> None:
    """Also where a script caught it, which leaves redis-py no class for it."""
    for error in (redis.exceptions.ResponseError(answer), redis_errors.answered(answer.encode())):
        assert type(translated(error)) is (StoreUnavailable if passing else StoreRefused)


def test_an_error_of_our_own_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), redis_errors.translated(URL):
        raise ZeroDivisionError


def test_every_class_and_code_of_sqlite3_becomes_one_of_ours(tmp_path: Path) -> None:
    dialect = DatabaseStorageDriver(f"sqlite:///{tmp_path}/store.db")._dialect
    classes = [one for one in vars(sqlite3).values() if isinstance(one, type) and issubclass(one, sqlite3.Error)]
    assert len(classes) >= 9
    passing = set()
    codes = {getattr(sqlite3, name): name for name in _result_codes()}
    assert len(codes) > 20
    for kind in classes:
        assert type(dialect.store_error(kind("words"))) is StoreRefused, "no code: misuse, which does not pass"
        for code, name in codes.items():
            for extended in (code, code | 7 << 8):
                error = kind("words")
                error.sqlite_errorcode = extended
                found = dialect.store_error(error)
                assert type(found) in (StoreUnavailable, StoreRefused)
                if isinstance(found, StoreUnavailable):
                    passing.add(name.removeprefix("SQLITE_"))
    assert passing == {"BUSY", "LOCKED", "NOMEM", "INTERRUPT", "IOERR", "FULL", "CANTOPEN", "PROTOCOL", "SCHEMA"}


def _result_codes() -> list[str]:
    """The primary result codes of SQLite by name; other constants of the module have the same numbers."""
    names = """ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY SCHEMA
        TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB"""
    return [f"SQLITE_{name}" for name in names.split()]
