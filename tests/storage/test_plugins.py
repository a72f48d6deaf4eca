"""Drivers that other packages bring: found by their entry point, and what goes wrong with them is said without a password."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queue_metrics.errors import ConfigurationError, MissingDependency
from queue_metrics.storage import StorageManager
from tests.storage.batches import A, everything, ones, send, series, starts

CODE = """
from queue_metrics.errors import MissingDependency
from queue_metrics.storage import GeneralStorageDriver, MemoryStorageDriver

class Driver(GeneralStorageDriver):
    def __init__(self, url, prefix):
        self.given = (url, prefix)
        self.inner = MemoryStorageDriver()
    url = property(lambda self: "shelf://***")
    def execute(self, calls):
        return self.inner.execute(calls)
    def watching(self, names):
        return self.inner.watching(names)
    def capabilities(self):
        return {"name": "shelf"}
    def size(self):
        return self.inner.size()
    def close(self):
        pass

def breaks(url, prefix):
    raise RuntimeError(f"no shelf at {url}")

def lacks(url, prefix):
    raise MissingDependency("pip install shelf")

def wrong(url, prefix):
    return object()
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes a package known, as pip would: its name and entry points of ours."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shelf_driver.py").write_text(CODE)

    def install(name: str, **entries: str) -> None:
        home = tmp_path / f"{name}-1.0.dist-info"
        home.mkdir()
        (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{scheme} = shelf_driver:{what}\n" for scheme, what in entries.items())
        (home / "entry_points.txt").write_text(f"[queue_metrics.storage]\n{lines}")

    yield install
    sys.modules.pop("shelf_driver", None)


def test_a_package_brings_a_driver_for_a_scheme_of_its_own(install: Install) -> None:
    install("shelf", shelf="Driver")
    manager = StorageManager("plugins")
    driver = manager.open("shelf://user:s3cret@oak/3")
    assert vars(driver)["given"] == ("shelf://user:s3cret@oak/3", "plugins")
    assert manager.open("SHELF://user:s3cret@oak/3") is driver
    send(driver, everything(A, ones()))
    assert starts(driver, series(A)) == 1


def test_a_scheme_of_ours_stays_ours(install: Install) -> None:
    install("greedy", memory="breaks", sqlite="breaks", redis="breaks")
    for url in ("memory://greedy", "redis://nobody.invalid"):
        assert type(StorageManager("greedy").open(url)).__module__.startswith("queue_metrics.")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("breaks", r"shelf-driver\).* cannot be used: no shelf at bad://user:\*\*\*@oak"),
        ("wrong", "answers object, no StorageDriver"),
        ("nothing", "cannot be used: .*nothing"),
    ],
)
def test_a_driver_that_cannot_be_made_is_an_error_that_names_its_package(install: Install, what: str, words: str) -> None:
    install("shelf-driver", bad=what)
    with pytest.raises(ConfigurationError, match=words) as refused:
        StorageManager("bad").open("bad://user:s3cret@oak")
    assert "s3cret" not in str(refused.value)


def test_what_a_driver_itself_says_goes_on(install: Install) -> None:
    install("shelf-driver", lacking="lacks")
    with pytest.raises(MissingDependency, match="pip install shelf"):
        StorageManager("lacking").open("lacking://x")


def test_two_packages_with_one_scheme_are_told(install: Install) -> None:
    install("oak", double="Driver")
    install("ash", double="wrong")
    with pytest.raises(ConfigurationError, match="double:// is brought by ash and oak"):
        StorageManager("double").open("double://x")
