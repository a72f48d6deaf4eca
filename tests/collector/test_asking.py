"""A pass asks the brokers that the configuration names, for every queue that the store knows, when nobody else does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis as redis_library
from celery import Celery

from queue_metrics.collector import Collector, asking, collector
from queue_metrics.config import Settings, load_settings
from queue_metrics.insights import connect
from queue_metrics.recording.depth import depth_lease
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.spools import worker_beats
from tests.support.fleet import Fleet, minute
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer, free_port


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture
def jobs(broker: RedisServer) -> Iterator[Celery]:
    """Three jobs in `mail`, one in `a:b`, none in `celery`; what has the name of `odd` is no list."""
    client = redis_library.Redis.from_url(broker.url)
    client.flushall()
    client.set("odd", "text")
    client.close()
    app = Celery("jobs", broker=broker.url, set_as_current=False)
    for queue in ("mail", "mail", "a:b", "mail"):
        app.send_task("send", queue=queue)
    yield app
    app.close()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StorageDriver:
    """The store of workers that are gone: it knows three queues of connection `shop` and one of another."""
    for name in [name for name in os.environ if name.startswith("QUEUE_METRICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", os.fspath(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    fleet = Fleet()
    for labels in (("shop", "mail"), ("shop", "a:b"), ("shop", "odd"), ("other", "mail")):
        fleet.queue(labels, minute(20), counts={"started": 1, "succeeded": 1})
    fleet.store(driver)
    return driver


def named(tmp_path: Path, **brokers: str) -> None:
    """Write the configuration."""
    tables = [f'[connections.{name}]\nlibrary = "celery"\nbroker = "{url}"\n' for name, url in brokers.items()]
    (tmp_path / "queue-metrics.toml").write_text("\n".join(tables))


def settings(store: StorageDriver) -> Settings:
    return load_settings(store=store.url)


def record_trends(tmp_path: Path, store: StorageDriver, *options: str, before: Sequence[str] = ()) -> dict[str, Any]:
    """The command, as cron runs it; `before` is a command that runs it."""
    command = [*before, sys.executable, "-m", "queue_metrics", "record-trends", "--json", "--store", store.url, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ready(store: StorageDriver) -> dict[str, int | None]:
    return {f"{each.connection}/{each.queue}": each.ready for each in connect(store).queues()}


def test_with_all_workers_gone_one_pass_by_cron_tells_the_depth_of_every_known_queue(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery
) -> None:
    named(tmp_path, shop=broker.url)
    assert set(ready(store).values()) == {None}
    trial = record_trends(tmp_path, store, "--dry-run")
    assert (trial["done"], trial["asked"], set(ready(store).values())) == (False, 0, {None})
    answer = record_trends(tmp_path, store)
    assert (answer["done"], answer["asked"], answer["away"]) == (True, 3, {})
    assert ready(store) == {"shop/mail": 3, "shop/a:b": 1, "shop/celery": 0, "shop/odd": None, "other/mail": None}
    assert worker_beats(store.read_heartbeats()) == [], "who asks is no worker"
    jobs.send_task("send", queue="mail")
    again = record_trends(tmp_path, store)
    if not again["done"]:  # still the same minute
        assert (again["asked"], ready(store)["shop/mail"]) == (0, 3)


def test_a_broker_that_is_away_is_named_and_stops_neither_the_pass_nor_another_broker(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery
) -> None:
    named(tmp_path, shop=broker.url, gone=f"redis://127.0.0.1:{free_port()}/0", rabbit="amqp://localhost")
    answer = record_trends(tmp_path, store)
    assert (answer["done"], answer["asked"], sorted(answer["away"])) == (True, 3, ["gone", "rabbit"])
    assert "only redis is supported" in answer["away"]["rabbit"]
    assert ready(store)["shop/mail"] == 3


def test_an_app_that_is_none_or_goes_elsewhere_stops_neither_the_pass_nor_another_broker(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery
) -> None:
    named(tmp_path, shop=broker.url)
    (tmp_path / "apps.py").write_text("app = object()\n")
    (tmp_path / "leaves.py").write_text("import os\nfrom celery import Celery\nos.chdir('/')\napp = Celery(broker='redis://127.0.0.1:1')\n")
    with (tmp_path / "queue-metrics.toml").open("a") as file:
        file.write(
            '[connections.none]\nlibrary = "celery"\napp = "apps:app"\n[connections.leaves]\nlibrary = "celery"\napp = "leaves:app"\n'
        )
    answer = record_trends(tmp_path, store)
    assert (answer["done"], answer["asked"], sorted(answer["away"])) == (True, 3, ["leaves", "none"])
    assert "AttributeError" in answer["away"]["none"]
    assert "not in list" not in answer["away"]["leaves"]


def test_an_app_that_ends_its_process_is_named_and_one_that_needs_the_main_thread_is_asked(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery
) -> None:
    named(tmp_path, shop=broker.url)
    (tmp_path / "ends.py").write_text("raise SystemExit('needs FOO')\n")
    (tmp_path / "signals.py").write_text(
        "import asyncio, signal\nfrom celery import Celery\nsignal.signal(signal.SIGUSR2, signal.SIG_IGN)\nasyncio.get_event_loop()\n"
        f"app = Celery(broker={broker.url!r}, set_as_current=False)\n"
    )
    with (tmp_path / "queue-metrics.toml").open("a") as file:
        file.writelines(f'[connections.{app}]\nlibrary = "celery"\napp = "{app}:app"\n' for app in ("ends", "signals"))
    answer = record_trends(tmp_path, store)
    assert (answer["done"], list(answer["away"])) == (True, ["ends"])
    assert "SystemExit: needs FOO" in answer["away"]["ends"]
    assert (ready(store)["signals/celery"], ready(store)["shop/mail"]) == (0, 3)


def test_an_import_that_hangs_holds_up_neither_the_pass_nor_another_broker(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery
) -> None:
    named(tmp_path, sleeps="redis://unused", shop=broker.url)
    table = (tmp_path / "queue-metrics.toml").read_text().replace('broker = "redis://unused"', 'app = "sleeps:app"')
    (tmp_path / "queue-metrics.toml").write_text(table)
    (tmp_path / "sleeps.py").write_text(f"import time\ntime.sleep({10 * PATIENCE})\n")
    answer = record_trends(tmp_path, store)
    assert (answer["done"], answer["asked"]) == (True, 3)
    assert answer["away"] == {"sleeps": "the import of its app has not ended in 12 s"}


def test_an_import_that_hangs_is_begun_once_and_its_connection_taken_in_when_it_ends(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "IMPORT_SECONDS", 0.2)
    (tmp_path / "queue-metrics.toml").write_text('[connections.shop]\nlibrary = "celery"\napp = "waits_for_a_file:app"\n')
    (tmp_path / "waits_for_a_file.py").write_text(
        "import pathlib, time\nfrom celery import Celery\npathlib.Path('begun').open('a').write('.')\n"
        f"while not pathlib.Path('go').exists(): time.sleep(0.01)\napp = Celery(broker={broker.url!r}, set_as_current=False)\n"
    )
    ask = asking.Asking(settings(store), store, "test")
    assert [dict(ask().away) for _ in range(3)] == [
        {"shop": "the import of its app has not ended in 0.2 s"},
        *[{"shop": "the import of its app has not ended since an earlier pass"}] * 2,
    ]
    assert sum(thread.name == "queue-metrics-asking" for thread in threading.enumerate()) == 1
    (tmp_path / "go").touch()
    monkeypatch.setattr(asking, "IMPORT_SECONDS", PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while (asked := ask()).away:
        assert time.monotonic() < deadline, asked
        time.sleep(0.02)
    assert (asked.queues, ready(store)["shop/mail"]) == (3, 3)
    assert (tmp_path / "begun").read_text() == "."
    ask.close()


@pytest.mark.parametrize(("later", "ready_jobs"), [(50, 3), (110, 3), (125, None)])
def test_what_cron_asked_for_is_known_until_a_late_pass_of_the_next_minute(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery, later: int, ready_jobs: int | None
) -> None:
    named(tmp_path, shop=broker.url)
    begun = time.time()
    assert record_trends(tmp_path, store)["asked"] == 3
    assert connect(store, now=lambda: begun + later).queue("shop", "mail").ready == ready_jobs


FULL = "mount -t tmpfs -o size=16k none state && { head -c 99999 /dev/zero > state/ballast || true; }"


@pytest.mark.parametrize(
    "trouble", ["rmdir state && touch state", "mount -t tmpfs -o ro none state", FULL], ids=["a file in the way", "read-only", "no room"]
)
def test_a_spool_that_cannot_be_used_stops_no_pass_and_is_named(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery, trouble: str
) -> None:
    """In a mount namespace of its own, which root and unprivileged users may have."""
    named(tmp_path, shop=broker.url)
    (tmp_path / "state").mkdir()
    before = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'{trouble} && exec "$@"', "sh"]
    answer = record_trends(tmp_path, store, before=before)
    assert (answer["done"], answer["asked"], answer["away"]) == (True, 0, {})
    assert answer["spool"].startswith(f"what brokers told cannot be kept in {tmp_path}/state/queue-metrics/")
    assert "set QUEUE_METRICS_STATE_DIR" in answer["spool"]
    assert ready(store)["shop/mail"] is None


def test_a_spool_that_is_mended_keeps_what_the_next_pass_is_told(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    named(tmp_path, shop=broker.url)
    (tmp_path / "state").touch()
    ask = asking.Asking(settings(store), store, "test")
    for _ in range(2):
        told = ask()
        assert (told.queues, told.away, told.trouble is None) == (0, {}, False)
    assert sum("cannot be kept" in record.message for record in caplog.records) == 1
    (tmp_path / "state").unlink()
    deadline = time.monotonic() + PATIENCE
    while (told := ask()).trouble is not None:
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    assert (told.queues, ready(store)["shop/mail"]) == (3, 3)
    ask.close()


def test_whom_another_process_asks_is_left_to_it(tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery) -> None:
    named(tmp_path, shop=broker.url)
    assert store.lease(depth_lease("shop"), "a worker", 600)
    answer = record_trends(tmp_path, store)
    assert (answer["done"], answer["asked"], answer["away"]) == (True, 0, {})
    assert ready(store)["shop/mail"] is None


def test_a_pass_leaves_the_lease_to_who_comes_next(tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery) -> None:
    named(tmp_path, shop=broker.url)
    assert record_trends(tmp_path, store)["asked"] == 3
    deadline = time.monotonic() + PATIENCE
    while not store.lease(depth_lease("shop"), "a worker", 600):
        assert time.monotonic() < deadline, "it is held"
        time.sleep(0.01)


def passed(running: Collector) -> None:
    deadline = time.monotonic() + PATIENCE
    while running.passes == 0:
        assert time.monotonic() < deadline, running.last_error
        time.sleep(0.02)


@pytest.mark.parametrize("asks", [True, False])
def test_the_thread_of_an_app_asks_before_it_passes_and_not_where_serve_or_agent_ask_themselves(
    tmp_path: Path, store: StorageDriver, broker: RedisServer, jobs: Celery, asks: bool
) -> None:
    named(tmp_path, shop=broker.url)
    with collector(settings=settings(store), asks=asks) as running:
        passed(running)
    assert ready(store)["shop/mail"] == (3 if asks else None)
