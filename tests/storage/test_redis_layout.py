"""What Redis is asked and what lies in it: errors told apart, one request a call, keys as documented."""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from queue_metrics import _core
from queue_metrics.errors import StoreError, StoreRefused, StoreUnavailable
from queue_metrics.storage import RedisStorageDriver, redis_errors
from queue_metrics.storage.base import DAY, HOUR, MINUTE, QUEUE, TASK
from tests.storage.batches import NOW, SPOOL, A, batch, bucket, eventually, everything, ones, row, send, series, starts
from tests.support.servers import RedisServer, binary, free_port


@pytest.fixture
def driver(redis_server: RedisServer) -> Iterator[RedisStorageDriver]:
    made = RedisStorageDriver(redis_server.url)
    yield made
    made.close()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Any]:
    made: Any = redis.Redis(port=redis_server.port)
    yield made
    made.close()


# Errors


REFUSED = {
    "AuthenticationError", "AuthenticationWrongNumberOfArgsError", "AuthorizationError", "NoPermissionError", "InvalidResponse",
    "DataError", "ResponseError", "RedisError", "NoScriptError", "WatchError", "ExecAbortError", "ModuleError", "ClusterCrossSlotError",
    "CrossSlotTransactionError", "RedisClusterException", "InvalidPipelineStack", "IncorrectPolicyType", "LockError", "LockNotOwnedError",
    "NoSuchFieldsetError", "PubSubError",
}  # fmt: skip
PASSING = {
    "ConnectionError", "TimeoutError", "BusyLoadingError", "MaxConnectionsError", "ExternalAuthProviderError", "ReadOnlyError",
    "OutOfMemoryError", "TryAgainError", "ClusterError", "ClusterDownError", "MasterDownError", "AskError", "MovedError",
    "SlotNotCoveredError", "ChildDeadlockedError",
}  # fmt: skip


def test_every_exception_of_redis_py_becomes_one_of_ours() -> None:
    """Those that pass by themselves are the ones named; whatever is new in redis-py must be looked at."""
    theirs = [one for _, one in inspect.getmembers(redis.exceptions, inspect.isclass) if issubclass(one, Exception)]
    assert len(theirs) > 15
    for one in theirs:
        words = "1234 host:6379" if one in (redis.exceptions.AskError, redis.exceptions.MovedError) else "some words"
        error = one(words)
        with pytest.raises(StoreError), redis_errors.translated("redis://x"):
            raise error
        ours = redis_errors.store_error(error, "redis://x")
        assert one.__name__ in REFUSED | PASSING, f"{one.__name__} is new: does it pass by itself?"
        assert type(ours) is (StoreUnavailable if one.__name__ in PASSING else StoreRefused), one


@pytest.mark.parametrize(
    "answer", ["BUSY Redis is busy", "MISCONF Errors writing", "NOREPLICAS Not enough", "LOADING x", "OOM x", "READONLY x", "CLUSTERDOWN x"]
)
def test_answers_that_pass_by_themselves_are_known_by_their_first_word(answer: str) -> None:
    assert isinstance(redis_errors.store_error(redis.ResponseError(answer), ""), StoreUnavailable)
    assert isinstance(redis_errors.store_error(redis.ResponseError(f"ERR {answer}"), ""), StoreRefused)


# Requests and layout


def test_each_call_is_one_request(redis_server: RedisServer, driver: RedisStorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted where it costs: writes to the socket that then wait for an answer."""
    send(driver, everything(A, ones()))
    driver.heartbeat_many([("w", b"")], 60)
    connection: Any = redis.connection.AbstractConnection
    sent: list[object] = []
    send_packed = connection.send_packed_command

    def counting(self: Any, *arguments: Any, **options: Any) -> None:
        sent.append(arguments)
        send_packed(self, *arguments, **options)

    monkeypatch.setattr(connection, "send_packed_command", counting)

    def count(call: Callable[[], object]) -> int:
        sent.clear()
        call()
        return len(sent)

    many = [series(("c", "q", f"t{n}")) for n in range(200)] + [series(A)]
    assert count(lambda: driver.apply_batch(0, batch(2, everything(A, ones())))) == 1
    assert count(lambda: driver.read_series(many, MINUTE, NOW - 6 * HOUR, NOW)) == 1
    assert count(lambda: driver.read_series(many, HOUR, NOW - 14 * DAY, NOW)) == 1
    assert count(lambda: driver.read_totals(many)) == 1
    assert count(driver.known_series) == 1
    assert count(driver.read_heartbeats) == 1
    assert count(lambda: driver.read_mark(SPOOL, 0)) == 1
    assert count(lambda: driver.heartbeat_many([(f"w{n}", b"") for n in range(100)], 60)) == 1
    assert count(lambda: driver.lease("duty", "me", 9)) == 1


def test_every_key_is_declared_tagged_and_expires_as_documented(driver: RedisStorageDriver, client: Any) -> None:
    send(driver, [*everything(A, ones()), *everything(A[:2], ones(), QUEUE)])
    driver.heartbeat_many([("w", b"x")], 60)
    driver.lease("duty", "me", 60)
    keys = {key.decode() for key in client.scan_iter()}
    assert all(key.startswith("queue_metrics:{q00}:") for key in keys)
    task, queue = f"{series(A):016x}", f"{series(A[:2], QUEUE):016x}"
    steps = {"m": (MINUTE, HOUR), "h": (HOUR, DAY), "d": (DAY, 100 * DAY)}
    blocks = {letter: bucket(step) - bucket(step) % span for letter, (step, span) in steps.items()}
    expected = {"schema": -1, "labels": -1, "marks": -1, f"t:{task}": -1, f"t:{queue}": -1}
    expected |= {f"m:{task}:{blocks['m']}": blocks["m"] + HOUR + 6 * HOUR, f"m:{queue}:{blocks['m']}": blocks["m"] + HOUR + 8 * DAY}
    for one in (task, queue):
        expected |= {f"h:{one}:{blocks['h']}": blocks["h"] + DAY + 14 * DAY, f"d:{one}:{blocks['d']}": blocks["d"] + 100 * DAY + 400 * DAY}
    for name, expiry in expected.items():
        assert client.expiretime(f"queue_metrics:{{q00}}:{name}") == expiry, name
    rest = keys - {f"queue_metrics:{{q00}}:{name}" for name in expected}
    assert len(rest) == 3
    assert all(0 < client.pttl(key) <= 60_000 for key in rest)


def test_a_worker_that_is_gone_leaves_nothing_when_another_one_beats(driver: RedisStorageDriver, client: Any) -> None:
    driver.heartbeat_many([(f"gone {n}", b"x") for n in range(50)], 0.05)
    driver.heartbeat_many([("here", b"x")], 60)
    eventually(lambda: len(driver.read_heartbeats()) == 1)
    driver.heartbeat_many([("here", b"x")], 60)
    assert client.zrange("queue_metrics:{q00}:workers", 0, -1) == [b"here"]
    assert client.hkeys("queue_metrics:{q00}:beats") == [b"here"]


def test_a_server_that_may_throw_numbers_away_is_not_exact(driver: RedisStorageDriver, client: Any) -> None:
    assert driver.capabilities()["exact"] is True
    client.config_set("maxmemory", "100mb")
    assert driver.capabilities()["exact"] is True
    client.config_set("maxmemory-policy", "allkeys-lru")
    told = driver.capabilities()
    assert told["exact"] is False
    assert "noeviction" in str(told["reason"])


def test_a_value_written_by_the_script_is_what_the_core_would_write(driver: RedisStorageDriver) -> None:
    values = [_core.Value.from_parts([n, 0, 2**40], {0: [n, n * 977], 4: [-n]}, {0: [(n, n)]}) for n in range(1, 40)]
    expected = _core.Value()
    for value in values:
        send(driver, [row(A, value)])
        expected = expected.merge(value)
    ((_, packed),) = driver.read_series([series(A)], MINUTE, 0, NOW + MINUTE)[series(A)]
    assert packed == expected.encode()


def test_points_of_a_series_without_labels_are_not_answered(driver: RedisStorageDriver, client: Any) -> None:
    send(driver, everything(A, ones(), TASK))
    client.delete("queue_metrics:{q00}:labels")
    assert driver.read_series([series(A)], MINUTE, 0, NOW + MINUTE) == {series(A): []}


# Ways to the server


def test_a_unix_socket_and_tls_reach_the_same_server(tmp_path: Path, certificate: tuple[Path, Path, Path]) -> None:
    authority, cert, key = certificate
    tls = free_port()
    options = ["--unixsocket", str(tmp_path / "s"), "--tls-port", str(tls), "--tls-cert-file", str(cert), "--tls-key-file", str(key)]
    with RedisServer(tmp_path, *options, "--tls-ca-cert-file", str(authority), "--tls-auth-clients", "no") as server:
        local = RedisStorageDriver(f"unix://{tmp_path}/s?db=0")
        send(local, everything(A, ones()))
        trusting = RedisStorageDriver(f"rediss://localhost:{tls}/0?ssl_ca_certs={authority}")
        send(trusting, everything(A, ones()))
        assert starts(RedisStorageDriver(server.url), series(A)) == 2
        for untrusted in (f"rediss://localhost:{tls}/0", f"rediss://127.0.0.1:{tls}/0?ssl_ca_certs={authority}"):
            with pytest.raises(StoreRefused, match=r"(?i)certificate"):
                RedisStorageDriver(untrusted).read_mark(SPOOL, 0)
        local.close()
        trusting.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A certificate for localhost, by name only, from an authority that nobody else knows: the authority's, its own, its key."""
    authority, secret, cert, key = (tmp_path / name for name in ("ca.pem", "ca-key.pem", "cert.pem", "key.pem"))
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    extensions = ("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
    for words in (
        (*new, "-subj", "/CN=a private authority", "-keyout", secret, "-out", authority),
        (*new, "-subj", "/CN=localhost", *extensions, "-CA", authority, "-CAkey", secret, "-keyout", key, "-out", cert),
    ):
        subprocess.run([binary("openssl"), *map(str, words)], check=True, capture_output=True)
    return authority, cert, key


@pytest.mark.parametrize(
    ("options", "durable"),
    [((), True), (("--appendonly", "no"), False), (("--appendonly", "no", "--save", "3600 1"), True)],
    ids=["append-only file", "nothing", "snapshots"],
)
def test_what_a_restart_of_the_server_would_keep_is_told(tmp_path: Path, options: tuple[str, ...], durable: bool) -> None:
    with RedisServer(tmp_path, *options) as server:
        driver = RedisStorageDriver(server.url)
        assert driver.capabilities()["durable"] is durable
        driver.close()
