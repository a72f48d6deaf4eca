"""What can only be tried where this machine lets us make control groups of version 1 is collected there only."""

from __future__ import annotations

import os
from pathlib import Path

HIERARCHIES = [Path("/sys/fs/cgroup") / name for name in ("memory", "cpu", "cpuacct")]
MAY_MAKE_GROUPS = os.geteuid() == 0 and all((path / "tasks").exists() and os.access(path, os.W_OK) for path in HIERARCHIES)

collect_ignore = [] if MAY_MAKE_GROUPS else ["test_cgroup_limits.py"]
