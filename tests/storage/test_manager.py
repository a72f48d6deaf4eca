"""Opening a store by its URL: what is taken, what is refused with which words, and what is never shown."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import queue_metrics.storage
from queue_metrics.errors import ConfigurationError, MissingDependency, StoreError
from queue_metrics.storage import DatabaseStorageDriver, MemoryStorageDriver, RedisStorageDriver, StorageManager, urls
from queue_metrics.storage.redis_reshard import Reshard
from queue_metrics.storage.sql.migrations import DIALECTS, schema
from tests.storage.batches import everything, ones, send, series, starts

A = ("conn", "queue", "task")
ROOT = Path(__file__).parents[2]


def test_each_form_opens_its_driver_without_connecting(tmp_path: Path) -> None:
    manager = StorageManager()
    forms = {
        "memory://": MemoryStorageDriver,
        "memory://name": MemoryStorageDriver,
        f"sqlite:///{tmp_path}/none/x.db": DatabaseStorageDriver,
        "redis://nobody.invalid": RedisStorageDriver,
        "redis://user:password@nobody.invalid:1/5": RedisStorageDriver,
        "redis://[::1]:6379/0": RedisStorageDriver,
        "rediss://nobody.invalid/0?ssl_ca_certs=/x.pem": RedisStorageDriver,
        "unix:///no/redis.sock?db=3": RedisStorageDriver,
        "redis+sentinel://user:password@one.invalid,two.invalid:1/shop/5?sentinel_password=x": RedisStorageDriver,
        "rediss+sentinel://one.invalid/shop": RedisStorageDriver,
        "redis+cluster://user:password@one.invalid,[::1]:7000": RedisStorageDriver,
        "rediss+cluster://one.invalid?ssl_ca_certs=/x.pem": RedisStorageDriver,
        "REDIS://nobody.invalid": RedisStorageDriver,
        "postgresql://nobody.invalid/db": DatabaseStorageDriver,
        "postgres://user:pass%40word@nobody.invalid:1/db?sslmode=verify-full&sslrootcert=/x.pem": DatabaseStorageDriver,
        "postgresql://user@/db?host=/run/postgresql": DatabaseStorageDriver,
        "postgresql://one.invalid:1,two.invalid:2/db?target_session_attrs=read-write": DatabaseStorageDriver,
        "mysql://nobody.invalid/db": DatabaseStorageDriver,
        "mariadb://user:p%2Fw@[::1]:3306/db?ssl_ca=/x.pem": DatabaseStorageDriver,
        "mysql://user@/db?unix_socket=/run/mysqld/mysqld.sock": DatabaseStorageDriver,
    }
    for url, kind in forms.items():
        assert type(manager.open(url)) is kind, url
    assert not (tmp_path / "none").exists()


def test_the_same_place_is_the_same_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, other = StorageManager("same_place"), StorageManager("another")
    monkeypatch.chdir(tmp_path)
    for url, again in (
        ("memory://", "memory://"),
        ("memory://x", "memory://x"),
        ("redis://nobody.invalid/0", "redis://nobody.invalid/0"),
        (f"sqlite:///{tmp_path}/x.db", "sqlite:///x.db"),
        (f"sqlite:///{tmp_path}/x.db", "sqlite:///./x.db"),
    ):
        assert manager.open(url) is StorageManager("same_place").open(again)
        assert manager.open(url) is not other.open(url)
    assert manager.open("memory://") is not manager.open("memory://x")
    send(manager.open("memory://"), everything(A, ones()))
    assert starts(StorageManager("same_place").open("memory://"), series(A)) == 1
    assert starts(other.open("memory://"), series(A)) == 0


def test_the_scheme_may_be_in_capitals_as_in_any_url() -> None:
    manager = StorageManager()
    assert manager.open("REDIS://nobody.invalid:1/5") is manager.open("redis://nobody.invalid:1/5")


def test_a_relative_file_stays_where_it_was_when_a_job_changes_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    driver = StorageManager().open("sqlite:///store.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    send(driver, everything(A, ones()))
    assert (tmp_path / "store.db").is_file()
    assert driver.url == f"sqlite:///{tmp_path}/store.db"
    driver.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "empty"),
        ("redi://localhost", "did you mean redis://"),
        ("reddis://localhost", "did you mean redis"),
        ("sqllite:///x.db", "did you mean sqlite://"),
        ("memroy://", "did you mean memory://"),
        ("http://localhost", "unknown scheme 'http'"),
        ("localhost:6379", "no scheme"),
        ("redis:localhost", "did you mean redis://"),
        ("/var/lib/x.db", "no scheme"),
        ("postgresql://localhost", "name of one database"),
        ("postgresql://localhost/", "did you mean postgresql://localhost/metrics"),
        ("postgresql://localhost/a/b", "name of one database"),
        ("postgresql://localhost:0/db", "port 0"),
        ("postgresql://localhost:port/db", "(?i)port"),
        ("postgresql://localhost/db?sslmod=require", "did you mean sslmode"),
        ("postgresql://localhost/db?connect_timeout=90", "unknown option"),
        ("postgresql://user:pa#ss@localhost/db", "written as %XX"),
        ("postgresql://user:pa[ss@localhost/db", "cannot be used"),
        ("postgre://localhost/db", "did you mean postgres"),
        ("mysql://localhost", "name of one database"),
        ("mysql://localhost/db?ssl_mod=required", "did you mean ssl_mode"),
        ("mysql://localhost/db?ssl_mode=yes", "ssl_mode is one of disabled, required"),
        ("mariadb://localhost/db?charset=latin1", "unknown option"),
        ("mysq://localhost/db", "did you mean mysql://"),
        ("redis+sentinel://localhost", "no service behind the sentinels"),
        ("redis+sentinel://localhost,/shop", "no host"),
        ("redis+sentinel://localhost/shop/one", "database is a number"),
        ("redis+sentinel://localhost:port/shop", "(?i)port"),
        ("redis+sentinel://localhost/shop?sentinel_pasword=x", "did you mean sentinel_password"),
        ("redis+cluster://", "no host"),
        ("redis+cluster://localhost/1", "database 0 only"),
        ("redis+cluster://localhost?db=1", "database 0 only"),
        ("redis+cluster://localhost?sentinel_password=x", "unknown option"),
        ("redis+clustre://localhost", r"did you mean redis\+cluster://"),
        ("sqlite://", "a third slash"),
        ("sqlite://x.db", "did you mean sqlite:///x.db"),
        ("sqlite:///", "names no file"),
        ("sqlite:////", "names no file"),
        ("sqlite:///some/", "names no file"),
        ("sqlite:///:memory:", "did you mean memory://"),
        ("sqlite:///no-such-directory/x.db", "did you mean sqlite:////no-such-directory/x.db"),
        ("sqlite:////x\0.db", "NUL"),
        ("redis://", "no host"),
        ("redis:///0", "no host"),
        ("redis://localhost:port", "(?i)port"),
        ("redis://localhost:0", "port 0"),
        ("redis://localhost:99999", "(?i)port"),
        ("redis://localhost/zero", "database is a number"),
        ("redis://localhost?db=x", "database is a number"),
        ("redis://localhost?ssl_ca_cert=/x", "did you mean ssl_ca_certs"),
        ("redis://localhost?decode_responses=1", "unknown option"),
        ("redis://localhost?max_connections=1", "2 at least"),
        ("redis://localhost?max_connections=many", "2 at least"),
        ("redis://user:pa[ss@localhost", "cannot be used"),
        ("unix://", "no path"),
        ("unix:///", "no path"),
    ],
)
def test_what_cannot_be_opened_says_why_and_what_can(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        StorageManager().open(url)
    text = str(refused.value)
    assert repr(urls.masked(url)) in text
    assert all(form in text for form in ("memory://", "sqlite:////absolute", "redis://[user", "rediss://", "unix://"))


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="NoneType"):
        StorageManager().open(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["", "A", "a-b", "a b", "x" * 33, "a:b", "é", "a;b", "x\n", 7, None])
def test_a_prefix_that_could_reach_beyond_its_keys_is_refused(prefix: object) -> None:
    given: Any = prefix
    makers: list[Callable[[], object]] = [
        lambda: StorageManager(given),
        lambda: RedisStorageDriver("redis://localhost", given),
        lambda: Reshard("redis://localhost", given, 64),
        *(partial(DatabaseStorageDriver, url, given) for url in ("sqlite:////tmp/x.db", "postgresql://h/db", "mysql://h/db")),
        *(partial(schema, dialect, given) for dialect in DIALECTS),
    ]
    for make in makers:
        with pytest.raises(ConfigurationError, match="1 to 32"):
            make()


@pytest.mark.parametrize("prefix", ["a", "0", "_", "x" * 32, "1_a", "select", "order"])
def test_any_other_prefix_works_in_every_database(prefix: str, tmp_path: Path) -> None:
    driver = StorageManager(prefix).open(f"sqlite:///{tmp_path}/x.db")
    send(driver, everything(A, ones()))
    assert starts(driver, series(A)) == 1
    driver.close()


def test_the_prefix_that_sqlite_keeps_for_itself_is_refused_for_sqlite(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="belong to SQLite"):
        StorageManager("sqlite").open(f"sqlite:///{tmp_path}/x.db")


SECRET = "s3:cr@t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:s3cret@host:1/0", "redis://:***@host:1/0"),
        ("redis://user:s3cret@host", "redis://user:***@host"),
        (f"redis://user:{SECRET}@host", "redis://user:***@host"),
        ("redis://user:s3/cr@t@host/0", "redis://user:***@host/0"),
        ("redis://user@host", "redis://user@host"),
        ("unix://user:s3cret@/path?db=0", "unix://user:***@/path?db=0"),
        ("redis://host?password=s3cret&db=1", "redis://host?password=***&db=1"),
        ("rediss://host?ssl_password=s3cret", "rediss://host?ssl_password=***"),
        ("redis+sentinel://u:s3cret@h,i/s?sentinel_password=s3cret", "redis+sentinel://u:***@h,i/s?sentinel_password=***"),
        ("redis+cluster://:s3cret@h,i", "redis+cluster://:***@h,i"),
        ("postgresql://u:s3cret@h/db", "postgresql://u:***@h/db"),
        ("memory://", "memory://"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("what is this", "what is this"),
        ("redis://user:s3cret?x@host/0", "redis://user:***@host/0"),
        ("redis://user:s3cret#x@host", "redis://user:***@host"),
        ("postgresql://user:1234/s3cret@host/db", "postgresql://user:***@host/db"),
        ("redis://host:1/0?client_name=me@home", "redis://host:1/0?client_name=me%40home"),
        ("redis://host?password=a&s3cret", "redis://host?password=***&***="),
        ("redis:/u:s3cret@host/0", "***@host/0"),
        ("u:s3cret@host", "***@host"),
        ("sqlite:////a@b:c/d@e.db", "sqlite:////a@b:c/d@e.db"),
    ],
)
def test_a_password_is_masked(url: str, shown: str) -> None:
    assert urls.masked(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        f"redis://u:{SECRET}@h",
        f"redis://u:{SECRET}@h:port",
        f"reddis://u:{SECRET}@h",
        f"postgresql://u:{SECRET}@h",
        f"postgresql://u:{SECRET}@h/db",
        f"postgresql://u:{SECRET}@h/db?sslpassword={SECRET}",
        f"mysql://u:{SECRET}@h/db",
        f"mysql://u:{SECRET}@h/db?ssl_key_password={SECRET}",
        f"mysql://u:{SECRET}@h/db?what=1",
        f"redis://h?password={SECRET}",
        *(
            url.replace("PASSWORD", secret)
            for secret in ("cr@t/x", "cr@t#x", "cr@t?x", "1/cr@t", "cr@t[", "cr@t%zz", "cr@t%00", "a&cr@t", "cr@t\ud800", "cr@té")
            for url in (
                "redis://u:PASSWORD@127.0.0.1:1/0",
                "redis+sentinel://u:PASSWORD@127.0.0.1:1/shop",
                "redis://127.0.0.1:1/0?password=PASSWORD",
                "postgresql://u:PASSWORD@127.0.0.1:1/db",
                "mysql://u:PASSWORD@127.0.0.1:1/db",
                "redis:/u:PASSWORD@127.0.0.1/0",
                "u:PASSWORD@127.0.0.1",
                "sqlite://u:PASSWORD@h/db",
            )
        ),
    ],
)
def test_no_message_or_repr_shows_a_password(url: str) -> None:
    try:
        driver = StorageManager().open(url)
    except ConfigurationError as error:
        shown = f"{error}{error!r}{error.__cause__}"
    else:
        shown = f"{driver}{driver!r}{driver.url}"
        if "127.0.0.1:1/" in url:  # where nobody listens
            with pytest.raises(StoreError) as caught:
                driver.known_series()
            shown += f"{caught.value}{caught.value.__cause__}"
    assert SECRET not in shown
    assert "cr@t" not in shown


@pytest.mark.parametrize(
    ("library", "extra", "url"),
    [
        ("redis", "redis", "redis://localhost"),
        ("psycopg", "postgresql", "postgresql://localhost/db"),
        ("pymysql", "mysql", "mysql://localhost/db"),
        ("pymysql", "mysql", "mariadb://localhost/db"),
    ],
)
def test_a_missing_library_names_the_extra_to_install(library: str, extra: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None if name == library else find(name, package))
    with pytest.raises(MissingDependency, match=rf'pip install "job-queue-metrics\[{extra}\]"') as missing:
        StorageManager("missing").open(url)
    assert isinstance(missing.value, ImportError)


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_importing_the_package_loads_no_driver_and_no_database() -> None:
    names = ("sqlite3", "_sqlite3", "redis", "hiredis", "psycopg", "pymysql", "queue_metrics.storage.")
    loaded = f"sorted(m for m in sys.modules if m.startswith({names}))"
    assert run(f"import sys, queue_metrics.storage; print({loaded})") == "[]"


def test_opening_redis_imports_redis_py_only_when_it_is_used() -> None:
    code = "import sys; from queue_metrics.storage import StorageManager; StorageManager().open('redis://localhost'); "
    assert run(code + "print(any(m in sys.modules for m in ('redis', 'hiredis', 'sqlite3', 'asyncio')))") == "False"


@pytest.mark.parametrize("url", ["postgresql://localhost/db", "mysql://localhost/db", "sqlite:////x.db"])
def test_opening_a_database_of_sql_imports_only_its_own_library_and_a_servers_only_when_it_is_used(url: str) -> None:
    code = f"import sys; from queue_metrics.storage import StorageManager; StorageManager().open({url!r}); "
    found = run(code + "print(sorted(m for m in ('redis', 'psycopg', 'pymysql', 'sqlite3', 'asyncio') if m in sys.modules))")
    assert found == ("['sqlite3']" if url.startswith("sqlite") else "[]")


def test_every_exported_name_is_there() -> None:
    for name in queue_metrics.storage.__all__:
        assert getattr(queue_metrics.storage, name).__name__ == name
    assert sorted(queue_metrics.storage.__all__) == queue_metrics.storage.__all__
    assert set(queue_metrics.storage.__all__) <= set(dir(queue_metrics.storage))
    with pytest.raises(AttributeError):
        _ = queue_metrics.storage.NoSuchName
