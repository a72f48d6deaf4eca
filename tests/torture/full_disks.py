"""Real disks that fill up under a worker: each file system that can be made here, small, in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from queue_metrics import _core
from tests.flow.checks import Claim
from tests.recording.tools import environment

SIZES = {"tmpfs": 24, "ext4": 32, "xfs": 320, "btrfs": 128}
"""MiB; xfs and btrfs are made in no smaller ones."""
ROUNDS = 3
MOUNTED = 'mount -t "$1" -o "$2" "$3" "$4/state" && shift 3 && exec "$0" -m tests.torture.small_disk "$@"'


def missing(kind: str) -> str:
    """Why a disk of this kind cannot be made and mounted here; empty when it can."""
    if kind == "tmpfs":
        return "" if shutil.which("unshare") else "no unshare"
    if os.geteuid() != 0:
        return "not root"
    wanted = [program for program in ("unshare", "losetup", f"mkfs.{kind}") if shutil.which(program) is None]
    if wanted:
        return f"no {', '.join(wanted)}"
    if kind not in Path("/proc/filesystems").read_text().split():
        return f"the kernel has no {kind}"
    asked = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    return "" if asked.returncode == 0 else f"no loop device: {asked.stderr.strip()}"


def full_disk(kind: str, directory: Path) -> dict[str, Any]:
    """A worker records on while its disk is filled up and cleared; what it offered is recorded or dropped, and it never dies."""
    directory.mkdir(parents=True)
    (directory / "state").mkdir()
    source, options = "none", f"size={SIZES[kind]}m,mode=700"
    if kind != "tmpfs":
        image = directory / "image"
        with image.open("wb") as file:
            file.truncate(SIZES[kind] << 20)
        subprocess.run([f"mkfs.{kind}", "-q", image], check=True, capture_output=True)
        source, options = os.fspath(image), "loop"
    apart = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    words = [sys.executable, kind, options, source, os.fspath(directory), str(ROUNDS)]
    ran = subprocess.run([*apart, "sh", "-c", MOUNTED, *words], env=environment(), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise AssertionError(f"{kind}: exit code {ran.returncode}: {ran.stderr[-2_000:]}")
    seen = json.loads(ran.stdout)
    way, reason = _core.journal_way(kind, "auto")
    offered, dropped = 2 * seen["jobs"], sum(seen["drops"].values())
    claims = [
        Claim("the disk is of this kind", seen["file_system"], seen["file_system"] == kind),
        Claim(f"its way is {way}", seen["way"], seen["way"] == way),
        Claim("the doctor says which and why", seen["doctor"], f"appended by {way} ({reason})" in seen["doctor"]),
        Claim("no worker dies", str(seen["statuses"]), seen["statuses"] == [0] * (2 * ROUNDS)),
        Claim("the disk was full in each round", str(seen["full"]), seen["full"] == ROUNDS),
        Claim("drops are of a full disk", str(seen["drops"]), set(seen["drops"]) == {"disk_full"}),
        Claim(
            "recorded and dropped are what was offered",
            f"{seen['started']} + {seen['succeeded']} + {dropped} of {offered}",
            seen["started"] + seen["succeeded"] + dropped == offered,
        ),
    ]
    return {
        "answer": {"jobs": seen["jobs"], "started": seen["started"], "succeeded": seen["succeeded"], "dropped": dropped},
        "claims": claims,
    }
