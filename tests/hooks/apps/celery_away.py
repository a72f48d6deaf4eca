"""A result backend that is away: it answers nothing and stores nothing, at once."""

from __future__ import annotations

from typing import Any, Never

from celery.backends.base import BaseBackend


class Away(BaseBackend):
    """Raises what a backend without its server raises after the last of its own attempts."""

    def _store_result(self, *_: Any, **__: Any) -> Never:
        raise ConnectionError("no result backend")

    def _get_task_meta_for(self, *_: Any, **__: Any) -> Never:
        raise ConnectionError("no result backend")
