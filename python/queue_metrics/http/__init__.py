"""Who sees it: page, JSON and Prometheus text over HTTP. Reads only; knows no job library and no database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from queue_metrics.config.settings import PrometheusNames
from queue_metrics.config.values import metric_namespace
from queue_metrics.errors import ConfigurationError, MissingDependency

if TYPE_CHECKING:
    from queue_metrics.http.app import Application
    from queue_metrics.http.server import BackgroundServer
    from queue_metrics.storage.base import StorageDriver

__all__ = ["asgi_app", "serve_in_thread"]


def asgi_app(
    store: str | StorageDriver,
    *,
    prefix: str = "queue_metrics",
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    stale_seconds: float = 60.0,
    lost_seconds: float = 300.0,
    prometheus_namespace: str = PrometheusNames().namespace,
    now: Callable[[], float] | None = None,
) -> Application:
    """
    An ASGI app that shows a store; to be served alone or mounted in another app.

    Args:
        store: its URL, or a driver that is open.
        prefix: of its keys or tables.
        token: asked for as a bearer token, or as the password of any user; None: whoever reaches the app may read. Then keep it on
            loopback, or behind something that asks.
        allowed_hosts: names, addresses or networks (`10.0.0.0/8`) by which it may be called, beside those of loopback.
        stale_seconds: a worker or depth not heard of for so long is stale.
        lost_seconds: a worker not heard of for so long is lost.
        prometheus_namespace: in front of the names of `/prometheus`.
        now: the clock, seconds since 1970; the wall clock by default.

    Raises:
        MissingDependency: starlette is not installed.
        ConfigurationError: the URL is malformed, the token too short to be safe, or no name can begin with `prometheus_namespace`.
    """
    try:
        import starlette  # noqa: F401 - only to ask whether it is there
    except ImportError as error:
        raise MissingDependency('the HTTP surface needs Starlette: pip install "job-queue-metrics[http]"') from error
    from queue_metrics.http.app import Application
    from queue_metrics.http.guard import Guard
    from queue_metrics.http.shared import SharedReading
    from queue_metrics.insights import connect

    try:
        namespace = metric_namespace(prometheus_namespace)
    except ValueError as error:
        raise ConfigurationError(f"prometheus_namespace must be {error}, not {prometheus_namespace!r}") from None
    guard = Guard(token, allowed_hosts)
    metrics = connect(store, prefix=prefix, now=now, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
    # A scrape wants totals and what is now: as many minutes as a depth may be old, and the open one.
    return Application(SharedReading(metrics), guard, scrape_minutes=int(stale_seconds // 60) + 2, prometheus_namespace=namespace)


def serve_in_thread(
    store: str | StorageDriver,
    *,
    host: str = "127.0.0.1",
    port: int = 8787,
    prefix: str = "queue_metrics",
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
) -> BackgroundServer:
    """
    Serve a store in a thread of this process, which ends with it: for a program that has no web server.

    Args:
        store: its URL, or a driver that is open.
        host: address to listen at; another than loopback needs a token.
        port: where to listen, or the next free one after it; 0: any free one.
        prefix: of its keys or tables.
        token: as for `asgi_app`.
        allowed_hosts: as for `asgi_app`; `host` is one of them.

    Returns:
        The server, which answers already: its `url`, and `stop()`. As a context manager it stops at the end.

    Raises:
        MissingDependency: starlette or uvicorn is not installed.
        ConfigurationError: the URL is malformed, the address is not of this machine, no port is free, or others could read without a token.
        TimeoutError: it did not begin within 10 s.
    """
    app = asgi_app(store, prefix=prefix, token=token, allowed_hosts=(*allowed_hosts, host))
    from queue_metrics.http.guard import is_loopback
    from queue_metrics.http.server import BackgroundServer, bound

    if token is None and not is_loopback(host):
        raise ConfigurationError(f"listening at {host} lets others on the network read your numbers: give a token, or stay at 127.0.0.1")
    server = BackgroundServer(app, bound(host, port, search=True))
    server.start()
    return server
