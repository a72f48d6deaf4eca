"""What a run of the demo was asked for, and where its files are; read again by each of its processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

LIBRARIES: Final = ("huey", "celery")
CONNECTION: Final = "shop"
NAMESPACE: Final = "demo"


@dataclass(frozen=True, slots=True)
class Options:
    """One run; everything but `jobs` is known when it starts its processes."""

    directory: str
    """Where all its files are."""
    library: str = "huey"
    broker: str = ""
    """URL of the broker; `sqlite:///` or `redis://`."""
    broker_prefix: str = ""
    """In front of the names of this run in a broker that is not its own."""
    store: str = ""
    """URL of the store."""
    workers: int = 4
    jobs: int | None = None
    """How many to enqueue; None: without end."""
    kill_every: float | None = None
    """Seconds between two SIGKILLs of pool children; None: no kills."""
    seed: int | None = None

    @property
    def root(self) -> Path:
        return Path(self.directory)

    @property
    def ledger(self) -> Path:
        """What really ran."""
        return self.root / "ledger"

    @property
    def pool(self) -> Path:
        """One file named by the pid of each process that executes jobs."""
        return self.root / "pool"

    @property
    def state(self) -> Path:
        """State directory of the library: the spool is in it."""
        return self.root / "state"

    def save(self) -> None:
        """Write it where `load` finds it; readable by this account alone, since a broker's URL may hold a password."""
        path = self.root / "options.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, directory: str) -> Options:
        """The options that the demo saved in a directory."""
        return cls(**json.loads((Path(directory) / "options.json").read_text()))
