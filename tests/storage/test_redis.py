"""What only Redis can do wrong: die, stall, forget scripts or data, refuse, and be something else."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from queue_metrics import _core
from queue_metrics.errors import SchemaMismatch, StoreError, StoreRefused, StoreUnavailable
from queue_metrics.storage import Mark, RedisStorageDriver, redis_connection
from queue_metrics.storage.base import DAY, HOUR, MINUTE
from tests.storage.batches import NOW, SPOOL, A, B, batch, bucket, content, eventually, everything, ones, row, send, series, starts
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer, free_port


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(redis_connection, "ANSWER_SECONDS", 0.3)


def insist(driver: RedisStorageDriver, sent: _core.Batch, seconds: float = PATIENCE) -> bool:
    """Send a batch as a drainer does, until its fate is known; whether this very call applied it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = driver.apply_batch(0, sent)
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            assert answer.mark == Mark(sent.sequence, sent.positions)
            return answer.applied


# Servers that die, stall and forget


def test_a_server_killed_between_batches_keeps_every_number(redis_server: RedisServer, driver: RedisStorageDriver) -> None:
    for sequence in range(1, 7):
        insist(driver, batch(sequence, everything(A, ones(sequence))))
        redis_server.kill()
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{redis_server.port}"):
            driver.read_mark(SPOOL, 0)
        redis_server.start()
    assert driver.read_mark(SPOOL, 0).sequence == 6
    assert starts(driver, series(A)) == 21


def test_batches_sent_while_the_server_is_killed_again_and_again_count_once(redis_server: RedisServer, driver: RedisStorageDriver) -> None:
    """The truth is the number of batches whose mark was confirmed; the store must hold exactly their starts."""
    stop = threading.Event()
    confirmed: list[int] = []

    def drain() -> None:
        while not stop.is_set():
            sequence = len(confirmed) + 1
            insist(driver, batch(sequence, [*everything(A, ones()), *everything(B, ones(3))]))
            confirmed.append(sequence)

    drainer = threading.Thread(target=drain)
    drainer.start()
    for _ in range(6):
        goal = len(confirmed) + 20
        while len(confirmed) < goal:
            assert drainer.is_alive()
            time.sleep(0.001)
        redis_server.kill()
        redis_server.start()
    stop.set()
    drainer.join()
    assert driver.read_mark(SPOOL, 0).sequence == len(confirmed)
    assert (starts(driver, series(A)), starts(driver, series(B))) == (len(confirmed), 3 * len(confirmed))
    points = content(driver)["points"]
    assert points[series(B), DAY, bucket(DAY)]["counters"] == {0: 3 * len(confirmed)}


@pytest.mark.usefixtures("impatient")
def test_a_batch_whose_answer_was_lost_is_sent_again_and_counts_once(redis_server: RedisServer, driver: RedisStorageDriver) -> None:
    driver.apply_batch(0, batch(1, everything(A, ones())))
    for sequence in (2, 3, 4):
        sent = batch(sequence, everything(A, ones()))
        redis_server.pause()
        with pytest.raises(StoreUnavailable):
            driver.apply_batch(0, sent)  # lies in the socket; the server finds it when it wakes
        redis_server.resume()
        insist(driver, sent)
    assert starts(driver, series(A)) == 4
    assert driver.read_mark(SPOOL, 0).sequence == 4


@pytest.mark.usefixtures("impatient")
def test_a_mute_server_is_unavailable_to_every_call_and_hears_them_once(redis_server: RedisServer, driver: RedisStorageDriver) -> None:
    send(driver, everything(A, ones()))
    redis_server.pause()
    try:
        for call in (
            driver.known_series,
            driver.read_heartbeats,
            lambda: driver.read_totals([1]),
            lambda: driver.heartbeat_many([("w", b"")], 9),
        ):
            with pytest.raises(StoreUnavailable):
                call()
    finally:
        redis_server.resume()
    assert starts(driver, series(A)) == 1


@pytest.mark.usefixtures("impatient")
def test_a_batch_without_an_answer_is_not_sent_again_behind_our_back(
    redis_server: RedisServer, driver: RedisStorageDriver, client: Any
) -> None:
    send(driver, everything(A, ones()))
    client.config_resetstat()
    redis_server.pause()
    with pytest.raises(StoreUnavailable):
        driver.apply_batch(0, batch(2, everything(A, ones())))
    redis_server.resume()
    eventually(lambda: driver.read_mark(SPOOL, 0).sequence == 2)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_a_server_that_forgot_the_script_gets_it_again(driver: RedisStorageDriver, client: Any) -> None:
    for sequence in range(1, 5):
        assert driver.apply_batch(0, batch(sequence, everything(A, ones()))).applied
        assert driver.lease("duty", "me", 5)
        client.script_flush()
    assert starts(driver, series(A)) == 4


def test_a_server_that_comes_back_empty_says_so_by_its_mark(redis_server: RedisServer, driver: RedisStorageDriver) -> None:
    for sequence in (1, 2, 3):
        driver.apply_batch(0, batch(sequence, everything(A, ones())))
    redis_server.kill()
    redis_server.start(empty=True)
    answer = driver.apply_batch(0, batch(4, everything(A, ones())))
    assert (answer.applied, answer.mark) == (False, Mark(0, b""))
    assert driver.known_series() == []
    for sequence in (1, 2, 3, 4):  # what a drainer replays from its segments
        assert driver.apply_batch(0, batch(sequence, everything(A, ones()))).applied
    assert starts(driver, series(A)) == 4


# Refusals; the same call without the obstacle works


def test_a_store_of_a_newer_or_unknown_schema_is_refused_and_left_as_it_is(driver: RedisStorageDriver, client: Any) -> None:
    send(driver, everything(A, ones()))
    versions = {b"2": "upgrade", b"17": "upgrade", b"banana": "something else", b"": "something else", b"0": "something else"}
    for version, words in versions.items():
        client.set("queue_metrics:{q00}:schema", version)
        before = {key: client.dump(key) for key in client.scan_iter()}
        for call in (
            lambda: driver.apply_batch(0, batch(2, everything(B, ones()))),
            lambda: driver.read_mark(SPOOL, 0),
            driver.known_series,
            lambda: driver.read_series([series(A)], MINUTE, 0, NOW),
            lambda: driver.read_totals([series(A)]),
            lambda: driver.heartbeat_many([("w", b"")], 9),
            driver.read_heartbeats,
            lambda: driver.lease("duty", "me", 9),
        ):
            with pytest.raises(SchemaMismatch) as refused:
                call()
            assert repr(version.decode()) in str(refused.value)
            assert "reads and writes 1" in str(refused.value)
            assert words in str(refused.value)
        assert {key: client.dump(key) for key in client.scan_iter()} == before
    client.set("queue_metrics:{q00}:schema", "1")
    assert starts(driver, series(A)) == 1


def test_a_first_write_leaves_its_schema_version(driver: RedisStorageDriver, client: Any) -> None:
    driver.known_series()
    assert client.dbsize() == 0
    driver.heartbeat_many([("w", b"")], 9)
    assert client.get("queue_metrics:{q00}:schema") == b"1"


@pytest.mark.parametrize("name", ["schema", "labels", "marks", "m", "t"])
def test_a_key_of_somebody_else_in_our_place_refuses_the_batch_before_it_changes_anything(
    driver: RedisStorageDriver, client: Any, name: str
) -> None:
    one = f"{series(B):016x}"
    block = bucket(MINUTE) - bucket(MINUTE) % HOUR
    key = "queue_metrics:{q00}:" + {"m": f"m:{one}:{block}", "t": f"t:{one}"}.get(name, name)
    send(driver, everything(A, ones()))
    saved = client.dump(key)
    client.delete(key)
    client.rpush(key, "somebody's list")
    before = {key: client.dump(key) for key in client.scan_iter()}
    with pytest.raises(StoreRefused, match="not ours"):
        driver.apply_batch(0, batch(2, [*everything(A, ones()), *everything(B, ones())]))
    assert {key: client.dump(key) for key in client.scan_iter()} == before
    client.delete(key)
    if saved is not None:
        client.restore(key, 0, saved)
    assert driver.apply_batch(0, batch(2, [*everything(A, ones()), *everything(B, ones())])).applied
    assert (starts(driver, series(A)), starts(driver, series(B))) == (2, 1)


@pytest.mark.parametrize(
    "stored",
    [b"", b"\xc1", b"\x92\x02\x91\x01", b"\x92\x01\x91\xa1x", b"\x91\x01\x00", b"\x93\x01\x90\x91\x92\x01\x02", b"\x96\x01" + b"\x90" * 5],
)
def test_a_damaged_or_newer_stored_value_refuses_the_batch_before_it_changes_anything(
    driver: RedisStorageDriver, client: Any, stored: bytes
) -> None:
    send(driver, everything(A, ones()))
    hour = bucket(HOUR) - bucket(HOUR) % DAY
    client.hset(f"queue_metrics:{{q00}}:h:{series(A):016x}:{hour}", str(bucket(HOUR)), stored)
    before = {key: client.dump(key) for key in client.scan_iter()}
    with pytest.raises(StoreRefused, match=f"{series(A):016x}"):
        driver.apply_batch(0, batch(2, everything(A, ones())))
    assert {key: client.dump(key) for key in client.scan_iter()} == before


@pytest.mark.parametrize("mark", [b"", b"junk", b":", b"-1:", b"1"])
def test_a_damaged_mark_refuses_the_batch_before_it_changes_anything(driver: RedisStorageDriver, client: Any, mark: bytes) -> None:
    send(driver, everything(A, ones()))
    client.hset("queue_metrics:{q00}:marks", SPOOL, mark)
    before = {key: client.dump(key) for key in client.scan_iter()}
    with pytest.raises(StoreRefused, match="mark"):
        driver.apply_batch(0, batch(2, everything(A, ones())))
    assert {key: client.dump(key) for key in client.scan_iter()} == before


def test_a_total_that_is_no_number_refuses_writing_and_reading(driver: RedisStorageDriver, client: Any) -> None:
    send(driver, everything(A, ones()))
    for text in (b"x", b"", b"1.5", b" 1", b"99999999999999999999", b"9223372036854775808"):
        client.hset(f"queue_metrics:{{q00}}:t:{series(A):016x}", "c0", text)
        with pytest.raises(StoreRefused):
            driver.apply_batch(0, batch(2, everything(A, ones())))
    client.hset(f"queue_metrics:{{q00}}:t:{series(A):016x}", "c0", "x")
    with pytest.raises(StoreRefused):
        driver.read_totals([series(A)])


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**62], ids=str)
def test_a_number_that_a_double_cannot_tell_is_refused_not_rounded(driver: RedisStorageDriver, number: int) -> None:
    with pytest.raises(StoreRefused, match="2\\^53"):
        driver.apply_batch(0, batch(1, [*everything(B, ones()), row(A, _core.Value.from_parts([], {4: [number]}))]))
    assert content(driver)["series"] == []
    send(driver, [row(A, _core.Value.from_parts([], {4: [number - 1 if number > 0 else number + 1]}))] if abs(number) == 2**53 else [])


def test_a_full_server_is_unavailable_and_unchanged(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        driver, client = RedisStorageDriver(server.url), redis.Redis(port=server.port)
        send(driver, everything(A, ones()))
        before = content(driver)
        client.config_set("maxmemory", "1")
        for call in (
            lambda: driver.apply_batch(0, batch(2, everything(B, ones()))),
            lambda: driver.heartbeat_many([("w", b"")], 9),
            lambda: driver.lease("duty", "me", 9),
        ):
            with pytest.raises(StoreUnavailable):
                call()
        assert content(driver) == before
        client.config_set("maxmemory", "0")
        assert driver.apply_batch(0, batch(2, everything(B, ones()))).applied
        client.close()
        driver.close()


def test_a_replica_is_unavailable_for_writing(redis_server: RedisServer, driver: RedisStorageDriver, client: Any) -> None:
    send(driver, everything(A, ones()))
    client.replicaof("127.0.0.1", str(free_port()))
    with pytest.raises(StoreUnavailable):
        driver.apply_batch(0, batch(2, everything(A, ones())))
    client.replicaof("no", "one")
    assert driver.apply_batch(0, batch(2, everything(A, ones()))).applied


def test_a_server_busy_with_a_script_of_somebody_is_unavailable(driver: RedisStorageDriver, client: Any) -> None:
    send(driver, everything(A, ones()))
    client.config_set("busy-reply-threshold", "1")

    def spin() -> None:
        other: Any = redis.Redis(port=client.connection_pool.connection_kwargs["port"])
        with contextlib.suppress(redis.RedisError), contextlib.closing(other):
            other.eval("while true do end", 0)

    spinner = threading.Thread(target=spin)
    spinner.start()
    try:
        eventually(lambda: isinstance(_error(client.ping), redis.RedisError))
        with pytest.raises(StoreUnavailable):
            driver.apply_batch(0, batch(2, everything(A, ones())))
    finally:
        client.script_kill()
        spinner.join()
    assert driver.apply_batch(0, batch(2, everything(A, ones()))).applied


def _error(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def test_no_or_a_wrong_password_is_refused_and_never_shown(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--requirepass", "s3cr3t") as server:
        wrong = f"redis://:wr0ng@127.0.0.1:{server.port}/0"
        for url in (server.url, wrong):
            driver = RedisStorageDriver(url)
            with pytest.raises(StoreRefused) as refused:
                driver.read_mark(SPOOL, 0)
            assert "wr0ng" not in f"{refused.value}{driver!r}{driver.url}"
            driver.close()
        right = RedisStorageDriver(f"redis://:s3cr3t@127.0.0.1:{server.port}/0")
        send(right, everything(A, ones()))
        assert starts(right, series(A)) == 1
        assert "s3cr3t" not in f"{right!r}{right.url}"
        right.close()


def test_a_user_without_rights_is_refused_and_the_documented_rights_are_enough(redis_server: RedisServer, client: Any) -> None:
    client.acl_setuser("writer", enabled=True, passwords=["+w"], keys=["queue_metrics:*"], commands=[
        "+evalsha", "+eval", "+get", "+set", "+hget", "+hset", "+hdel", "+hlen", "+hincrby", "+hgetall", "+hmget", "+expireat", "+pexpire",
        "+pttl", "+time", "+zadd", "+zrem", "+zrange", "+zrangebyscore", "+info", "+scan", "+memory|usage", "+ping", "+select",
    ])  # fmt: skip
    reading = ["+get", "+hget", "+hgetall", "+hmget", "+zrange", "+time"]
    client.acl_setuser("reader", enabled=True, passwords=["+r"], keys=["queue_metrics:*"], commands=reading)
    place = f"127.0.0.1:{redis_server.port}/0"
    writer, reader = RedisStorageDriver(f"redis://writer:w@{place}"), RedisStorageDriver(f"redis://reader:r@{place}")
    send(writer, everything(A, ones()))
    writer.heartbeat_many([("w", b"x")], 9)
    assert writer.lease("duty", "me", 9)
    assert len(writer.read_heartbeats()) == 1
    assert writer.size() > 0
    assert writer.capabilities()["exact"] is True
    assert content(reader) == content(writer)
    assert len(reader.read_heartbeats()) == 1
    with pytest.raises(StoreRefused):
        reader.apply_batch(0, batch(2, everything(A, ones())))
    with pytest.raises(StoreRefused):
        RedisStorageDriver(f"redis://writer:w@{place}", "another").known_series()
    assert starts(writer, series(A)) == 1
    writer.close()
    reader.close()


def test_something_that_is_no_redis_is_refused_or_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    link.recv(4096)
                    link.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(StoreError):
            RedisStorageDriver(f"redis://127.0.0.1:{listener.getsockname()[1]}/0").read_mark(SPOOL, 0)
        listener.shutdown(socket.SHUT_RDWR)


def test_nobody_there_is_unavailable() -> None:
    for url in (f"redis://127.0.0.1:{free_port()}/0", "unix:///nonexistent/redis.sock", "redis://no-such-host.invalid/0"):
        with pytest.raises(StoreUnavailable):
            RedisStorageDriver(url).read_mark(SPOOL, 0)
