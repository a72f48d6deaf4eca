"""
`queue-metrics demo`: real jobs through a real queue, with a page to watch and an audit that compares what was counted with what ran.

It uses the package as anybody would: `instrument` in its worker and producer, a store, the HTTP app. Its processes:

    demo (this one: page and collector, kills, progress)
    ├── worker, in a process group with its pool     queue_metrics.demo.worker
    ├── producer                                     queue_metrics.demo.producer
    ├── redis-server, for Celery without --broker
    └── audit, at the end                            queue_metrics.demo.audit
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queue_metrics.config import Settings, load_settings
from queue_metrics.demo.options import NAMESPACE, Options
from queue_metrics.demo.progress import Progress
from queue_metrics.errors import ConfigurationError, MissingDependency, StoreUnavailable

if TYPE_CHECKING:
    from queue_metrics.demo.run import Run

__all__ = ["Request", "run_demo"]

JOBS_BY_DEFAULT = 200


@dataclass(frozen=True, slots=True)
class Request:
    """The command line of the demo."""

    jobs: int | None = None
    exit: bool = False
    json: bool = False
    kill_every: float | None = None
    library: str = "huey"
    broker: str | None = None
    store: str | None = None
    port: int = 8787
    workers: int = 4
    keep: str | None = None


def run_demo(request: Request) -> int:
    """
    Run the demo in the main thread; ends with its jobs (`exit`, `json`) or by SIGINT, SIGTERM or SIGHUP.

    Returns:
        The exit code: 0, or 1 when the audit found a difference or a part of the demo failed.

    Raises:
        ConfigurationError: an argument cannot be used.
        MissingDependency: the job library, the server or redis-server is not installed.
        StoreError: the store cannot be used.
    """
    progress = Progress(sys.stderr if request.json else sys.stdout)
    with _signals() as interrupted, contextlib.ExitStack() as stack:
        directory = stack.enter_context(_directory(request.keep))
        return _run(request, directory, progress, interrupted, stack)


def _run(request: Request, directory: Path, progress: Progress, interrupted: threading.Event, stack: contextlib.ExitStack) -> int:
    from queue_metrics.collector import collector
    from queue_metrics.demo.page import Page
    from queue_metrics.demo.run import Failed, Interrupted

    ends = request.exit or request.json
    options = Options(
        directory=str(directory),
        library=request.library,
        workers=request.workers,
        jobs=JOBS_BY_DEFAULT if ends and request.jobs is None else request.jobs,
        kill_every=request.kill_every,
    )
    settings = _settings(request.store, options)
    options = _with_broker(replace(options, store=settings.store), request.broker, stack)
    options.save()
    run = _open_run(options, settings, progress, interrupted, stack)
    if not ends:
        page = Page(settings, request.port)
        stack.callback(page.close)
        stack.callback(collector(settings=settings).stop)  # as `serve` has one: without it the page lacks what only shows over time
        progress.say(f"page   {page.url}")
    progress.say(f"store  {run.store_url}\nspool  {settings.spool}")
    try:
        run.start()
        if options.jobs is None:
            progress.say("Ctrl-C ends it.")
            run.for_ever()
        report = run.finish()
        _show(report, request, progress)
        if not ends:
            progress.say("All jobs are done; the page stays. Ctrl-C ends it.")
            interrupted.wait()
        return 0 if report["answer"]["exact"] else 1
    except Interrupted:
        progress.say("ending")
        return 1 if ends else 0
    except Failed as error:
        progress.say(f"demo: {error}")
        return 1


def _open_run(options: Options, settings: Settings, progress: Progress, interrupted: threading.Event, stack: contextlib.ExitStack) -> Run:
    from queue_metrics.demo.queues import open_queue
    from queue_metrics.demo.run import Run

    try:
        queue = open_queue(options)
    except ImportError as error:
        if isinstance(error, MissingDependency):
            raise
        extras = {"huey": "huey,http", "celery": "celery,redis,http"}[options.library]
        what = error.name or options.library
        raise MissingDependency(f'the demo of {options.library} needs {what}: pip install "job-queue-metrics[{extras}]"') from error
    if options.broker_prefix:
        stack.callback(queue.clear)
    run = Run(options, settings, queue, progress, interrupted)
    stack.callback(run.close)
    return run


def _settings(store: str | None, options: Options) -> Settings:
    """
    Where the numbers go: a file of the demo's own, unless a store is named on the command line.

    The environment and configuration files are not asked: a demo must never write into the store of real queues.
    """
    if store is not None and store.startswith("memory:"):
        raise ConfigurationError("memory:// lives in one process and the demo has several; use sqlite:///FILE or redis://HOST:PORT/DB")
    return load_settings(
        config=os.devnull, environ={}, store=store or f"sqlite:///{options.root}/metrics.db", state_dir=options.state, namespace=NAMESPACE
    )


def _with_broker(options: Options, broker: str | None, stack: contextlib.ExitStack) -> Options:
    if broker is not None:
        schemes = ("redis://", "rediss://") if options.library == "celery" else ("sqlite:///", "redis://", "rediss://")
        if not broker.startswith(schemes):
            raise ConfigurationError(f"--broker {broker!r} cannot be used with {options.library}; it can be {' or '.join(schemes)}...")
        if broker.startswith("redis"):
            _reach(broker)
        # What other runs left in this broker is none of ours, and nothing of ours is to stay.
        return replace(options, broker=broker, broker_prefix=f"queue-metrics-demo-{os.getpid()}:")
    if options.library == "celery":
        from queue_metrics.demo.private_redis import PrivateRedis

        server = PrivateRedis(options.root)
        stack.callback(server.stop)
        return replace(options, broker=server.url)
    return replace(options, broker=f"sqlite:///{options.root}/broker.db")


def _reach(broker: str) -> None:
    """Raises StoreUnavailable unless a server answers there."""
    try:
        import redis
    except ImportError as error:
        raise MissingDependency('a broker on Redis needs its library: pip install "job-queue-metrics[redis]"') from error
    try:
        with redis.Redis.from_url(broker, socket_connect_timeout=2, socket_timeout=2) as client:
            client.ping()
    except ValueError as error:
        raise ConfigurationError(f"--broker is not a URL of a Redis: {error}") from error
    except (redis.RedisError, OSError) as error:
        where = broker.rpartition("@")[2]
        raise StoreUnavailable(
            f"the broker {where} cannot be used: {error}; start it, or leave --broker out for one of the demo's own"
        ) from error


def _show(report: dict[str, Any], request: Request, progress: Progress) -> None:
    answer = report["answer"]
    for promise, numbers, holds in report["equations"]:
        progress.say(f"{'holds ' if holds else 'BROKEN'}  {promise}:  {numbers}")
    progress.say(f"{answer['store_requests']} requests to the store in {answer['flushes']} flushes; {answer['wall_seconds']} s")
    progress.say("exact" if answer["exact"] else "NOT EXACT")
    if request.json:
        print(json.dumps(answer), flush=True)


@contextlib.contextmanager
def _directory(keep: str | None) -> Iterator[Path]:
    """Where all files of a run are: a new directory that is removed at the end, or one that is kept."""
    if keep is None:
        directory = Path(tempfile.mkdtemp(prefix="queue-metrics-demo-"))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return
    directory = Path(keep).expanduser().absolute()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        filled = any(directory.iterdir())
    except OSError as error:
        raise ConfigurationError(f"--keep {keep!r} cannot be used: {error.strerror}; name a new directory") from error
    if filled:
        raise ConfigurationError(f"--keep {keep!r} is not empty: the files of another run would be counted; name a new directory")
    yield directory


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that is set when somebody wants this process to end; a second wish changes nothing."""
    wanted = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda *_: wanted.set()) for number in numbers]
    try:
        yield wanted
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
