"""
Hosts with mounts of their own, in a namespace that goes with the process. Prints what samples say, as JSON.

`python mounting.py hung DIRECTORY`: a FUSE mount whose server never answers. `python mounting.py hidden`: an empty `/proc`.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def private_mounts() -> None:
    """A mount namespace that nobody else sees; with a user namespace around it where we are not root."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if user else 0)) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    mount(None, "/", None, MS_REC | MS_PRIVATE, None)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> None:
    """`mount(2)`."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


def helpers() -> int:
    """Threads of ours that do not end: those that answered are gone after a moment."""
    deadline = time.monotonic() + 10
    while (count := len(os.listdir("/proc/self/task")) - threading.active_count()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return count


def hung(place: str) -> list[dict[str, object]]:
    """Ten samples; the server is this process, which does not answer."""
    from queue_metrics import _core

    server = os.open("/dev/fuse", os.O_RDWR)
    mount("hung", place, "fuse.hung", 0, f"fd={server},rootmode=40000,user_id=0,group_id=0")
    sampler = _core.HostSampler()
    found: list[dict[str, object]] = []
    for _ in range(10):
        sample = sampler.sample()
        disk = next(disk for disk in sample["disks"] or [] if disk["mountpoint"] == place)
        others = [disk["total_bytes"] for disk in sample["disks"] or [] if disk["mountpoint"] != place]
        reason = sample["unread"].get(f"disks[{place}]")
        found.append({"disk": disk, "others": others, "reason": reason, "threads": helpers()})
    return found


def hidden() -> dict[str, object]:
    """What is chosen where `/proc` cannot be read, and what each source says there."""
    from queue_metrics import _core

    pid, parent = os.getpid(), os.getppid()
    unopened, opened = _core.ProcessWatch(parent), _core.ProcessWatch(pid)
    before = opened.hot()
    mount("empty", "/proc", "tmpfs", 0, None)
    chosen, proc = _core.HostSampler(), _core.HostSampler("proc")
    questions: dict[str, Callable[[], object]] = {
        "process_sample()": _core.process_sample,
        "process_sample(pid)": lambda: _core.process_sample(parent),
        "process_sample(tree)": lambda: _core.process_sample(parent, tree=True),
        "ProcessWatch": lambda: _core.ProcessWatch(pid),
        "unopened.hot": unopened.hot,
        "proc.process": proc.process,
        "sysinfo.process": chosen.process,
    }
    return {
        "chosen": chosen.source_name,
        "sample": chosen.sample(),
        "proc": proc.sample(),
        "answers": {name: answer(question) for name, question in questions.items()},
        "opened": (before is not None, opened.hot() is not None),
    }


def answer(question: Callable[[], object]) -> str:
    """What a question about a living process brings: an error by its kind and words, else what was returned."""
    try:
        return repr(question())
    except Exception as error:  # every kind is told, so that a test can refuse all but one
        return f"{type(error).__name__}: {error}"


def main() -> None:
    """Mount, sample, tell."""
    private_mounts()
    found = hung(sys.argv[2]) if sys.argv[1] == "hung" else hidden()
    print(json.dumps(found), flush=True)
    os._exit(0)  # a thread waits for the server, which is us: nothing else could end it in order


if __name__ == "__main__":
    main()
