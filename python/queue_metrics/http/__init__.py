"""Who sees it: page, JSON and Prometheus text over HTTP. Reads only; knows no job library and no database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from queue_metrics.errors import ConfigurationError, MissingDependency

if TYPE_CHECKING:
    from queue_metrics.config import Settings
    from queue_metrics.http.app import Application
    from queue_metrics.http.server import BackgroundServer
    from queue_metrics.storage.base import StorageDriver

__all__ = ["application", "asgi_app", "serve_in_thread"]


def asgi_app(
    store: str | StorageDriver | None = None,
    *,
    prefix: str | None = None,
    token: str | None = None,
    allowed_hosts: Sequence[str] | None = None,
    stale_seconds: float | None = None,
    lost_seconds: float | None = None,
    prometheus_namespace: str | None = None,
    now: Callable[[], float] | None = None,
) -> Application:
    """
    An ASGI app that shows a store; to be served alone or mounted in another app. What is not given is as configured.

    Args:
        store: its URL, or a driver that is open.
        prefix: of its keys or tables.
        token: asked for as a bearer token, or as the password of any user; none here and none configured: whoever reaches the app may
            read. Then keep it on loopback, or behind something that asks.
        allowed_hosts: names, addresses or networks (`10.0.0.0/8`) by which it may be called, beside those of loopback.
        stale_seconds: a worker or depth not heard of for so long is stale.
        lost_seconds: a worker not heard of for so long is lost.
        prometheus_namespace: in front of the names of `/prometheus`.
        now: the clock, seconds since 1970; the wall clock by default.

    Raises:
        MissingDependency: starlette is not installed.
        ConfigurationError: the URL is malformed, the token too short to be safe, or a setting is unknown or wrong.
    """
    from queue_metrics.storage.manager import configured

    driver, settings = configured(
        store,
        prefix=prefix,
        token=token,
        allowed_hosts=allowed_hosts,
        stale_seconds=stale_seconds,
        lost_seconds=lost_seconds,
        prometheus={"namespace": prometheus_namespace},
    )
    return application(driver, settings, now=now)


def application(driver: StorageDriver, settings: Settings, *, now: Callable[[], float] | None = None) -> Application:
    """The app of an open store, as settings say. Raises as `asgi_app`."""
    try:
        import starlette  # noqa: F401 - only to ask whether it is there
    except ImportError as error:
        raise MissingDependency('the HTTP surface needs Starlette: pip install "job-queue-metrics[http]"') from error
    from queue_metrics.http.app import Application
    from queue_metrics.http.guard import Guard
    from queue_metrics.http.shared import SharedReading
    from queue_metrics.insights.metrics import Metrics

    metrics = Metrics(driver, now=now, stale_seconds=settings.stale_seconds, lost_seconds=settings.lost_seconds)
    # A scrape wants totals and what is now: as many minutes as a depth may be old, and the open one.
    return Application(
        SharedReading(metrics),
        Guard(settings.token, (*settings.allowed_hosts, settings.host)),
        scrape_minutes=int(settings.stale_seconds // 60) + 2,
        prometheus_namespace=settings.prometheus.namespace,
    )


def serve_in_thread(
    store: str | StorageDriver | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
    prefix: str | None = None,
    token: str | None = None,
    allowed_hosts: Sequence[str] | None = None,
) -> BackgroundServer:
    """
    Serve a store in a thread of this process, which ends with it: for a program that has no web server. What is not given is as configured.

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
        ConfigurationError: the URL is malformed, a setting is wrong, the address is not of this machine, no port is free, or others could
            read without a token.
        TimeoutError: it did not begin within 10 s.
    """
    from queue_metrics.storage.manager import configured

    driver, settings = configured(store, host=host, port=port, prefix=prefix, token=token, allowed_hosts=allowed_hosts)
    app = application(driver, settings)
    from queue_metrics.http.guard import is_loopback
    from queue_metrics.http.server import BackgroundServer, bound

    if settings.token is None and not is_loopback(settings.host):
        raise ConfigurationError(
            f"listening at {settings.host} lets others on the network read your numbers: give a token, or stay at 127.0.0.1"
        )
    server = BackgroundServer(app, bound(settings.host, settings.port, search=True))
    server.start()
    return server
