"""
The way of appending on real file systems, and what happens when one is full: jobs run on, each record is there or counted as dropped.

Each is mounted in a mount namespace of its own, so that nothing is left of it, whatever happens; those on a loop device need root.
`python -m tests.torture.file_systems PLACE JOURNAL STORE` is what runs there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from queue_metrics import _core, load_settings
from tests.core.writing import open_keys, run_once
from tests.flow.checks import Claim
from tests.recording.tools import environment
from tests.support.journal_oracle import read_spool

BEFORE, ROUND, ROUNDS, AFTER = 10, 500, 40, 50
LONGEST = 120


class Kind(NamedTuple):
    """A file system: what mounts it at `place` in the directory `$1`, and which way is right on it."""

    name: str
    way: str
    mount: str
    program: str = ""
    journal: str = "auto"

    @property
    def needs_root(self) -> bool:
        return bool(self.program)


def _loop(name: str, megabytes: int, program: str) -> str:
    return f'truncate -s {megabytes}M "$1/image" && {program} "$1/image" && mount -t {name} -o loop "$1/image" "$1/place"'


_LAYERS = 'mount -t tmpfs -o size=16m,mode=755 none "$1/layers" && cd "$1/layers" && mkdir lower upper work'
_OVERLAY = "mount -t overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work none"
BTRFS = _loop("btrfs", 128, "mkfs.btrfs -q -f")

KINDS = (
    Kind("tmpfs", "map", 'mount -t tmpfs -o size=16m,mode=755 none "$1/place"'),
    Kind("overlay", "write", f'{_LAYERS} && {_OVERLAY} "$1/place"'),
    Kind("ext4", "map", _loop("ext4", 32, "mkfs.ext4 -q -F"), "mkfs.ext4"),
    Kind("xfs", "map", _loop("xfs", 320, "mkfs.xfs -q"), "mkfs.xfs"),
    Kind("btrfs", "write", BTRFS, "mkfs.btrfs"),
    Kind("btrfs", "map", BTRFS, "mkfs.btrfs", "map"),
    Kind("fuse", "write", f'{_LAYERS} && bindfs upper "$1/place"', "bindfs"),
)
_SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def missing(kind: Kind) -> str:
    """Why a file system cannot be mounted here; empty when it can."""
    known = [line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()]
    if kind.name not in known:
        return "not in this kernel"
    if kind.needs_root and os.geteuid() != 0:
        return "needs root"
    if kind.program and shutil.which(kind.program, path=_SEARCHED) is None:
        return f"no {kind.program}"
    return ""


def check(kind: Kind, directory: Path) -> dict[str, Any]:
    """Mount it, run jobs on it before, while and after it is full, and compare what was offered with what is there."""
    for name in ("place", "layers"):
        (directory / name).mkdir(parents=True)
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    program = f'({kind.mount}) >&2 && "$0" -m tests.torture.file_systems "$1/place" "$2" "$3"; found=$?; umount "$1/place"; exit $found'
    store = f"sqlite:///{directory}/store.db"
    words = [*namespace, "sh", "-c", program, sys.executable, os.fspath(directory), kind.journal, store]
    done = subprocess.run(
        words, env=environment() | {"PATH": _SEARCHED}, cwd=Path.cwd(), capture_output=True, text=True, timeout=LONGEST, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{kind.name}: exit code {done.returncode}: {done.stderr[-4000:]}")
    found = json.loads(done.stdout)
    shutil.rmtree(directory)
    doctor = found.pop("doctor")
    told = (found["file_system"], found["way"], found["way_reason"])
    claims = [
        Claim("the file system and its way", f"{told}", told[:2] == (kind.name, kind.way)),
        Claim("the doctor says the same", f"{doctor}", tuple(doctor) == told),
        Claim("records = written + dropped", f"{found}", found["offered"] == found["written"] + found["dropped"]),
        Claim("a full disk drops records", f"{found}", found["dropped"] > 0 and found["reasons"] == ["disk_full"]),
        Claim("all are written when there is room again", f"{found}", found["after"] == 2 * AFTER),
        Claim("no END without its START, none twice", f"{found['open']} open", found["open"] == 0),
    ]
    return {"answer": found, "claims": claims}


def fill(path: Path) -> None:
    """Take what the file system has left: large blocks first, by reserving where that is possible."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    end, step = 0, 64 << 20
    while step >= 4096:
        try:
            os.posix_fallocate(descriptor, end, step)
            end += step
        except OSError:
            step //= 2
    os.lseek(descriptor, end, os.SEEK_SET)
    try:
        while os.write(descriptor, bytes(4096)):
            os.fsync(descriptor)
    except OSError:
        os.close(descriptor)


def _doctor(state: Path, journal: str, store: str) -> list[str]:
    told = {"STATE_DIR": os.fspath(state), "JOURNAL": journal, "STORE": store, "NAMESPACE": "disk"}
    variables = {f"QUEUE_METRICS_{name}": value for name, value in told.items()}
    words = [sys.executable, "-m", "queue_metrics", "doctor", "--json"]
    done = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True, check=False)
    (spool,) = json.loads(done.stdout)["spools"]
    return [spool["file_system"], spool["way"], spool["way_reason"]]


def main() -> None:
    place, journal, store = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    settings = load_settings(environ={}, store=store, state_dir=place / "state", namespace="disk", journal=journal)
    recorder = _core.Recorder(os.fspath(settings.spool), "host", journal=journal)
    handle = recorder.series("broker", "default", "task", _core.CLOCK_NONE)
    offered = 0

    def run(jobs: int) -> None:
        nonlocal offered
        for _ in range(jobs):
            run_once(recorder, handle)
        offered += 2 * jobs

    def dropped() -> int:
        return sum(recorder.status()["drops"].values())

    run(BEFORE)
    found = {name: recorder.status()[name] for name in ("way", "way_reason")}
    found |= {"file_system": _core.file_system(os.fspath(settings.spool)), "doctor": _doctor(place / "state", journal, store)}
    ballast = place / "ballast"
    fill(ballast)
    rounds = 0
    while not dropped() and rounds < ROUNDS:
        run(ROUND)
        rounds += 1
    ballast.unlink()
    deadline, drops = time.monotonic() + 30, -1
    while drops != dropped() and time.monotonic() < deadline:
        time.sleep(0.5)
        drops = dropped()
        run(1)
    records = recorder.status()["records"]
    run(AFTER)
    after = recorder.status()["records"] - records
    seen = read_spool(settings.spool)
    written = sum(record.kind in ("START", "END") for record in seen)
    found |= {"offered": offered, "written": written, "dropped": dropped(), "reasons": sorted(recorder.status()["drops"]), "after": after}
    # An END is dropped alone when its START was the last record that the disk had room for, and only then.
    print(json.dumps({**found, "open": len(open_keys(seen)) - found["dropped"] % 2}))


if __name__ == "__main__":
    main()
