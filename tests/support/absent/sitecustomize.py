"""In front of PYTHONPATH: the modules named in QM_TEST_ABSENT are not installed, as far as this process can see."""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder

ABSENT = frozenset(os.environ.get("QM_TEST_ABSENT", "").split())


class Absent(MetaPathFinder):
    """Finds none of them, before anybody else finds one."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
