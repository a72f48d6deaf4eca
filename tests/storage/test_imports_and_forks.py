"""Forks beside imports: the lock of a module that another thread was importing stays locked in the child, for ever."""

from __future__ import annotations

import textwrap
from pathlib import Path

from queue_metrics.storage import forks
from tests.storage.batches import python
from tests.support.patience import PATIENCE

IMPORTING = """
    import os, signal, sys, threading, time, warnings
    from importlib.machinery import PathFinder

    warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: this process has threads and forks

    class Slow:
        def find_spec(self, name, path=None, target=None):
            if name != "redis.client":
                return None
            spec = PathFinder.find_spec(name, path)
            execute = spec.loader.exec_module

            def exec_module(module):  # not in the finder, which the interpreter itself does not fork over
                importing.set()
                slow()
                execute(module)

            spec.loader.exec_module = exec_module
            return spec

    def in_child(work):
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)  # one that hangs dies by itself, and its status tells
            work()
            os._exit(0)
        return pid

    def use_redis():
        import redis, redis.asyncio

    def end(pid):
        thread.join()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "redis.client" in sys.modules)

    importing = threading.Event()
    sys.meta_path.insert(0, Slow())
    thread = threading.Thread(target=lambda: driver._store.connections.pools())
"""


def says(code: str) -> str:
    """What a program says that begins with IMPORTING."""
    process = python(textwrap.dedent(IMPORTING) + textwrap.dedent(code))
    try:
        said, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert errors == ""
    return said


def test_a_fork_waits_for_an_import_that_its_child_would_wait_for_in_vain() -> None:
    assert forks.CALLS_END_SECONDS < 3, "or the import below is no longer than any call"
    assert (
        says("""
            from queue_metrics.storage import StorageManager
            driver = StorageManager().open("redis://127.0.0.1:1")
            slow = lambda: time.sleep(3)
            thread.start()
            importing.wait()
            end(in_child(use_redis))
        """)
        == "0 True\n"
    )


def test_an_import_waits_for_a_fork_that_has_begun() -> None:
    """Such a one as waits for somebody else's lock, when it has found no import under way."""
    assert (
        says("""
            def before():  # registered earlier, so called later, than ours
                thread.start()
                assert not importing.wait(10 * forks.HELD_BACK_SECONDS), "it imports in the middle of a fork"

            os.register_at_fork(before=before)
            from queue_metrics.storage import StorageManager, forks
            driver = StorageManager().open("redis://127.0.0.1:1")
            slow = lambda: time.sleep(0.5)
            end(in_child(use_redis))
        """)
        == "0 True\n"
    )


def test_a_module_that_forks_when_it_is_imported_does_not_wait_for_an_import_that_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text("import __main__\n__main__.forking()\n")
    assert (
        says(f"""
            from queue_metrics.storage import StorageManager, forks
            driver = StorageManager().open("redis://127.0.0.1:1")
            sys.path.insert(0, {str(tmp_path)!r})
            children = []

            def slow():
                import application

            def forking():
                thread.start()
                importing.wait()
                children.append(in_child(lambda: None))

            forks.IMPORTS_END_SECONDS = 3600
            import application
            end(*children)
        """)
        == "0 True\n"
    )
