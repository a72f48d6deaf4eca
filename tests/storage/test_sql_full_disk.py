"""A database server whose disk is full: jobs go on, their records wait, and all are counted once when it has room again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.recording.tools import environment

SIZE = "256m"
MOUNTED = 'mount -t tmpfs -o size=$0,mode=1777 none "$4" && exec "$1" -m tests.storage.full_server "$2" "$3" "$4"'


def test_records_wait_while_the_disk_of_the_server_is_full(tmp_path: Path, sql_kind: str) -> None:
    """A small file system in a mount namespace of its own."""
    apart = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount"]
    with tempfile.TemporaryDirectory(prefix="qm-disk-") as disk:  # not below pytest's, where only its user gets
        os.chmod(disk, 0o755)
        done = subprocess.run(
            [*apart, "sh", "-c", MOUNTED, SIZE, sys.executable, sql_kind, os.fspath(tmp_path), disk],
            env=environment() | {"TMPDIR": disk},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout)
    assert seen["unavailable"], seen["said"]
    assert any("space left" in said or "full" in said for said in seen["said"]), seen["said"]
    assert seen["waited"] >= 300
    assert seen["drops"] == {}
    assert seen["counted"] == seen["jobs"]
    assert seen["exact"]
