"""Settings: from where each value is taken, and what is said when one is wrong."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.config import ConnectionSettings, Duties, Limits, Settings, TimeToLive, load_settings
from queue_metrics.config.original import WITHOUT
from queue_metrics.config.settings import DECLARATIONS
from queue_metrics.errors import ConfigurationError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the current directory, and no setting of the tests' own environment."""
    for name in [name for name in os.environ if name.startswith("QUEUE_METRICS_")]:
        monkeypatch.delenv(name)
    directory = tmp_path / "my project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def settings(environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    return load_settings(environ={"HOME": "/home/me", **(environ or {})}, **arguments)


def test_without_anything_the_store_is_a_file_in_the_state_directory_of_the_user() -> None:
    assert settings().store == "sqlite:////home/me/.local/state/queue-metrics/metrics.db"
    assert settings({"XDG_STATE_HOME": "/var/me"}).store == "sqlite:////var/me/queue-metrics/metrics.db"
    assert settings({"XDG_STATE_HOME": "relative"}).state_dir == Path("/home/me/.local/state"), "the standard says to ignore it"


def test_argument_beats_environment_beats_file_beats_default(project: Path) -> None:
    assert settings().prefix == "queue_metrics"
    (project / "pyproject.toml").write_text('[tool.queue_metrics]\nprefix = "pyproject"\nport = 1\n')
    assert settings().prefix == "pyproject"
    (project / "queue-metrics.toml").write_text('prefix = "file"\n')
    assert settings().prefix == "file"
    assert settings().port == 8787, "one file is read, not two merged"
    assert settings({"QUEUE_METRICS_PREFIX": "environment"}).prefix == "environment"
    assert settings({"QUEUE_METRICS_PREFIX": "environment"}, prefix="argument").prefix == "argument"
    assert settings({"QUEUE_METRICS_PREFIX": ""}).prefix == "file", "an empty variable is one that is not set"
    assert settings(prefix=None).prefix == "file", "None is an argument that is not given"


def test_the_file_can_be_named(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("enabled = false\n")
    assert settings({"QUEUE_METRICS_CONFIG": str(other)}).enabled is False
    assert settings(config=other).enabled is False
    with pytest.raises(ConfigurationError, match=r"missing\.toml does not exist"):
        settings(config=tmp_path / "missing.toml")


def test_a_pyproject_of_others_is_not_even_parsed(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.other\nbroken")
    assert settings().port == 8787


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stroe = 'x'", "unknown setting 'stroe' in queue-metrics.toml; did you mean 'store'?"),
        ("zzz = 1", "known are store, namespace"),
        ("port = 'http'", "port in queue-metrics.toml must be a port number between 0 and 65535, not 'http'"),
        ("port = 65536", "not 65536"),
        ("port = true", "not True"),
        ("enabled = 'yes'", "enabled in queue-metrics.toml must be true or false, not 'yes'"),
        ('journal = "mmap"', "auto, write or map"),
        ("journal = true", "auto, write or map"),
        ("flush_seconds = 0", "a number of seconds between"),
        ("flush_seconds = nan", "a number of seconds between"),
        ("flush_seconds = inf", "a number of seconds between"),
        ("store = ''", "text that is not empty"),
        ("allowed_hosts = 'a'", "a list of names"),
        ("not toml", "is no TOML"),
        ("connections = 1", "tables \\[connections.NAME\\]"),
        ("[connections.a]\nlibrary = 'celery'", "either `app` or `broker` for connection 'a'"),
        ("[connections.a]\nlibrary = 'celery'\napp = 'm:a'\nbroker = 'redis://'", "either `app` or `broker`"),
        ("[connections.a]\nlibary = 'celery'", "did you mean 'library'"),
        ("sampling_source = 'psutil'", "sampling_source in queue-metrics.toml must be auto, proc or sysinfo, not"),
        ("lost_seconds = 1", r"lost_seconds \(1.0\) must not be less than stale_seconds \(60.0\)"),
    ],
)
def test_a_wrong_file_is_answered_with_the_value_and_what_is_expected(project: Path, text: str, message: str) -> None:
    (project / "queue-metrics.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=message) as raised:
        settings()
    assert "`queue-metrics doctor`" in str(raised.value), "a command to run"


def test_a_file_that_is_no_text_or_cannot_be_read_is_said_so(project: Path) -> None:
    (project / "queue-metrics.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="is no TOML"):
        settings()
    (project / "queue-metrics.toml").unlink()
    (project / "queue-metrics.toml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        settings()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("QUEUE_METRICS_STROE", "x", "unknown environment variable QUEUE_METRICS_STROE; did you mean 'QUEUE_METRICS_STORE'?"),
        ("QUEUE_METRICS_CONNECTIONS", "x", "unknown environment variable"),
        ("QUEUE_METRICS_STORAGE", "redis", "for `storage.driver` of the original there is QUEUE_METRICS_STORE "),
        ("QUEUE_METRICS_MAX_SAMPLES", "500", "for `storage.max_samples_per_key` of the original there is none here: no samples are kept"),
        ("QUEUE_METRICS_ENABLED", "maybe", "QUEUE_METRICS_ENABLED must be true or false, not 'maybe'"),
        ("QUEUE_METRICS_PORT", "-1", "QUEUE_METRICS_PORT must be a port number"),
        ("QUEUE_METRICS_PORT", "٣", "QUEUE_METRICS_PORT must be a port number"),
        ("QUEUE_METRICS_FLUSH_SECONDS", "soon", "QUEUE_METRICS_FLUSH_SECONDS must be a number of seconds"),
    ],
)
def test_a_wrong_variable_is_answered_with_the_value_and_what_is_expected(variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        settings({variable: value})
    assert f"`unset {variable}`" in str(raised.value), "a command to run"


def test_an_unknown_argument_is_answered_with_what_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="unknown setting 'flush_second'; did you mean 'flush_seconds'"):
        settings(flush_second=1)


def test_values_of_the_environment_are_taken_as_what_they_mean() -> None:
    found = settings(
        {
            "QUEUE_METRICS_ENABLED": "No",
            "QUEUE_METRICS_PORT": "0",
            "QUEUE_METRICS_FLUSH_SECONDS": "0.5",
            "QUEUE_METRICS_ALLOWED_HOSTS": "a.example, b.example,",
            "QUEUE_METRICS_STATE_DIR": "/srv/state",
        }
    )
    assert (found.enabled, found.port, found.flush_seconds) == (False, 0, 0.5)
    assert found.allowed_hosts == ("a.example", "b.example")
    assert found.state_dir == Path("/srv/state")


def test_connections_are_read_from_tables(project: Path) -> None:
    (project / "queue-metrics.toml").write_text(
        '[connections.mail]\nlibrary = "celery"\nbroker = "redis://h"\n[connections."a b"]\nlibrary = "huey"\napp = "m:app"\n'
    )
    assert settings().connections == {
        "mail": ConnectionSettings("celery", broker="redis://h"),
        "a b": ConnectionSettings("huey", app="m:app"),
    }


def test_secrets_are_in_no_text_of_the_settings_or_of_an_error() -> None:
    found = settings(store="redis://me:hunter2@h/0", token="hunter2")
    assert "hunter2" not in repr(found) + str(found)
    with pytest.raises(ConfigurationError) as raised:
        settings(port="redis://me:hunter2@h")
    assert "hunter2" not in str(raised.value)
    with pytest.raises(ConfigurationError) as raised:
        settings(token=["hunter2"])
    assert "hunter2" not in str(raised.value)


def test_a_store_has_a_spool_of_its_own_whatever_its_password() -> None:
    def spool(**arguments: Any) -> Path:
        return settings(namespace="shop", **arguments).spool

    assert spool(store="redis://u:one@h/0") == spool(store="redis://u:t@w/o:@h/0") != spool(store="redis://u:one@h/1")
    assert spool(store="redis://h/0?password=one") == spool(store="redis://h/0?password=two")
    assert spool(store="redis://h/0") != spool(store="redis://h/0", prefix="other")
    assert spool().parent == Path("/home/me/.local/state/queue-metrics")
    assert spool().name.startswith("shop-")
    assert spool().name.endswith(settings().spool_suffix)


def test_a_relative_file_is_the_same_store_after_a_change_of_directory(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(store="sqlite:///metrics.db")
    assert found.store == f"sqlite:///{project}/metrics.db"
    monkeypatch.chdir("/")
    assert found.spool == settings(store=f"sqlite:///{project}/metrics.db", namespace="my project").spool


@pytest.mark.parametrize("name", ["../../etc", ".hidden", "a/b", "ü", "x" * 300, "a\nb", "..", "a\udcffb"])
def test_any_namespace_is_one_plain_file_name(name: str) -> None:
    spool = settings(namespace=name).spool
    assert spool.parent == settings().spools_dir
    assert spool.name.isascii()
    assert spool.name.isprintable()
    assert not spool.name.startswith(".")
    assert len(spool.name) < 120


def test_namespaces_that_look_alike_as_file_names_stay_apart() -> None:
    assert len({settings(namespace=name).spool for name in ("a/b", "a_b", "a:b", "a b")}) == 4


def test_the_namespace_is_the_apps_name_or_that_of_the_project() -> None:
    assert settings().namespace == "my project"
    assert settings(app="shop").namespace == "shop"
    assert settings({"QUEUE_METRICS_NAMESPACE": "env"}, app="shop").namespace == "env"


def test_a_current_directory_that_is_gone_is_no_reason_to_fail(project: Path) -> None:
    project.rmdir()
    assert settings().namespace == "default"


def test_without_a_home_the_state_is_in_a_private_directory_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    found = load_settings(environ={})
    assert found.state_dir == tmp_path / f"queue-metrics-{os.getuid()}"
    assert found.state_dir.stat().st_mode & 0o777 == 0o700
    found.state_dir.chmod(0o777)
    with pytest.raises(ConfigurationError, match="QUEUE_METRICS_STATE_DIR"):
        load_settings(environ={})


def test_a_home_less_directory_that_is_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"queue-metrics-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="belongs to somebody else"):
        load_settings(environ={})


def test_tables_may_be_given_in_part_from_every_source_and_as_the_object(project: Path) -> None:
    (project / "queue-metrics.toml").write_text("[ttl]\nraw = 7200\nhours = 172800\n[limits]\ntasks = 5\n")
    found = settings({"QUEUE_METRICS_TTL_RAW": "3600"}, limits={"exceptions": 3})
    assert found.ttl == TimeToLive(raw=3600, hours=172800)
    assert found.limits == Limits(tasks=5, exceptions=3)
    assert settings(ttl=TimeToLive(raw=10_000)).ttl == TimeToLive(raw=10_000), "an object is whole"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ttl = 1", "ttl must be a table of raw, aggregated, servers, workers, baseline, hours, days, not 1"),
        ("[ttl]\nrwa = 7200", "unknown setting 'ttl.rwa' in queue-metrics.toml; did you mean 'ttl.raw'?"),
        ("[ttl]\nraw = 3599", "ttl.raw in queue-metrics.toml must be a whole number between 3600 and 34560000, not 3599"),
        ("[ttl]\nraw = 3600.0", "a whole number between"),
        ("[ttl]\nraw = 172800\nhours = 86400", r"ttl.hours \(86400\) must not be less than ttl.raw \(172800\)"),
        ("[ttl]\ndays = 86400", r"ttl.days \(86400\) must not be less than ttl.hours \(1209600\)"),
        ("[limits]\ntasks = 0", "a whole number between 1 and 100000, not 0"),
        ("prefix = 'My Prefix'", "prefix in queue-metrics.toml must be 1 to 32 of the characters a-z, 0-9 and _, not 'My Prefix'"),
        ("stale_seconds = 0.5", "stale_seconds in queue-metrics.toml must be a number of seconds between 1 and 86400, not 0.5"),
    ],
)
def test_bounds_are_enforced_and_the_error_names_key_and_value(project: Path, text: str, message: str) -> None:
    (project / "queue-metrics.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        settings()


def test_a_secret_may_stand_in_a_file(tmp_path: Path, project: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    (project / "queue-metrics.toml").write_text("token = 'file'\n")
    assert settings({"QUEUE_METRICS_TOKEN_FILE": str(tmp_path / "token")}).token == "hunter2", "above the TOML file"
    assert settings({"QUEUE_METRICS_TOKEN_FILE": str(tmp_path / "token")}, token="argument").token == "argument"
    assert settings({"QUEUE_METRICS_TOKEN_FILE": "", "QUEUE_METRICS_TOKEN": "plain"}).token == "plain"
    (tmp_path / "store").write_text("redis://me:hunter2@h/0")
    assert settings({"QUEUE_METRICS_STORE_FILE": str(tmp_path / "store")}).store == "redis://me:hunter2@h/0"


def test_a_secret_file_that_is_of_no_use_is_said_so_without_the_secret(tmp_path: Path) -> None:
    wrong = {"empty": b"\n", "binary": b"\xff\xfehunter2", "long": b"hunter2" * 10_000}
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
    for name, told in {"empty": "text that is not empty", "binary": "no text", "long": "longer", "missing": "No such file"}.items():
        with pytest.raises(ConfigurationError, match=told) as raised:
            settings({"QUEUE_METRICS_TOKEN_FILE": str(tmp_path / name)})
        assert "QUEUE_METRICS_TOKEN_FILE" in str(raised.value)
        assert "hunter2" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="are both set"):
        settings({"QUEUE_METRICS_TOKEN_FILE": str(tmp_path / "empty"), "QUEUE_METRICS_TOKEN": "x"})
    with pytest.raises(ConfigurationError, match="unknown environment variable QUEUE_METRICS_PORT_FILE"):
        settings({"QUEUE_METRICS_PORT_FILE": "x"})


def test_every_key_of_the_original_is_answered_once() -> None:
    """
    The keys of rows 142-151 of the original's configuration, written down by hand.

    Two stand for several settings here: its tasks for a switch for each duty, its deviation for switch, threshold and minutes.
    """
    several = {"scheduling.tasks.*": len(fields(Duties)), "baseline.deviation": 3}
    settings_of = Counter(key for each in DECLARATIONS.values() for key in each.original)
    assert settings_of == {key: several.get(key, 1) for key in settings_of}
    answered = [*settings_of, *(key for keys in WITHOUT for key in keys.split(", "))]
    known = """
        enabled persistence.enabled storage.driver storage.connection storage.prefix storage.ttl.raw storage.ttl.aggregated
        storage.ttl.baseline storage.max_samples_per_key storage.cleanup_chunk_size windows.short windows.medium windows.long
        performance.batch_size performance.percentile_samples performance.baseline_samples middleware allowed_ips prometheus.enabled
        prometheus.namespace prometheus.cache_ttl prometheus.middleware worker_heartbeat.stale_threshold baseline.sliding_window_days
        baseline.decay_factor baseline.target_sample_size baseline.intervals baseline.deviation scheduling.enabled scheduling.tasks.*
    """
    assert sorted(answered) == sorted(known.split())


def test_every_setting_can_be_set_from_every_source(project: Path) -> None:
    """With a value beside its default, so that one which a source forgets keeps its default and shows."""
    others: dict[str, object] = {
        "store": "memory://a",
        "namespace": "n",
        "state_dir": "/srv/a",
        "enabled": False,
        "persistence": False,
        "prefix": "p",
        "journal": "map",
        "exact_peak": True,
        "collector": False,
        **{f"duties.{each.name}": False for each in fields(Duties)},
        "baseline.decay_factor": 0.2,
        "baseline.intervals": [1, 2, 3, 4, 5],
        "baseline.deviation": False,
        "stale_seconds": 61.0,
        "lost_seconds": 301.0,
        "host": "h",
        "token": "t",
        "allowed_hosts": ["x"],
        "sampling_source": "proc",
        "ttl.days": 86400 * 300,
        "shared_group": 40_010,
        "prometheus.namespace": "shop",
    }
    for name, declaration in DECLARATIONS.items():
        if declaration.variable is None:
            continue
        value = others.get(name, (declaration.default or 0) + 1 if isinstance(declaration.default, (int, float)) else None)
        assert value is not None, f"a value for {name}"
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        table, _, key = name.rpartition(".")
        shown = f"[{table}]\n" * bool(table) + f"{key} = {json.dumps(value)}\n"
        (project / "queue-metrics.toml").write_text(shown)
        by_file = settings()
        (project / "queue-metrics.toml").unlink()
        by_variable = settings({declaration.variable: text})
        by_argument = settings(**({table: {key: value}} if table else {key: value}))
        assert by_file == by_variable == by_argument != settings(), name
