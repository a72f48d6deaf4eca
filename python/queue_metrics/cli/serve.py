"""`queue-metrics serve`: page, JSON and Prometheus text of a store."""

from __future__ import annotations

import argparse
import socket
import sys
from typing import TYPE_CHECKING

from queue_metrics.cli.options import checked, default
from queue_metrics.config import Settings, load_settings
from queue_metrics.errors import ConfigurationError

if TYPE_CHECKING:
    from queue_metrics.recording.runtime import Runtime

HELP = "serve the page, the JSON API and the Prometheus metrics of a store"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of serve."""
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--host", metavar="ADDRESS", help=f"address to listen at (default: {default('host')}); others need a token")
    parser.add_argument(
        "--port", type=checked("port"), metavar="P", help=f"port to listen at (default: {default('port')}, or the next free one)"
    )
    parser.add_argument("--token", help="ask for this token; QUEUE_METRICS_TOKEN keeps it out of the list of processes")
    parser.add_argument(
        "--allow-host", action="append", metavar="NAME", dest="allowed_hosts", help="a name, address or network to answer to; repeatable"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from queue_metrics.http.server import bound, page_address, serve, server_of

    settings = load_settings(store=args.store, host=args.host, port=args.port, token=args.token, allowed_hosts=args.allowed_hosts)
    refuse_open_doors(settings)
    from queue_metrics.collector import collector
    from queue_metrics.http import application
    from queue_metrics.storage.manager import open_store

    app = application(open_store(settings), settings)
    server = server_of(app)  # before an address is printed: it may not be there
    chosen = args.port is not None or settings.port != default("port")
    listener = bound(settings.host, settings.port, search=not chosen)
    print(f"queue-metrics at {page_address(listener)}  (Ctrl-C stops)", file=sys.stderr)
    if (elsewhere := _elsewhere(settings, listener.getsockname()[1])) is not None:
        print(elsewhere, file=sys.stderr)
    print(f"store {app.store}\nspool {settings.spool}", file=sys.stderr, flush=True)
    runtime = _asking(settings)
    collecting = collector(settings=settings, asks=False) if settings.collector and settings.persistence else None
    try:
        serve(server, listener)
    finally:
        if collecting is not None:
            collecting.stop()
        if runtime is not None:
            runtime.stop()
    return 0


def _elsewhere(settings: Settings, port: int) -> str | None:
    """How other machines reach a server that listens at every address; None for another."""
    if settings.host not in ("0.0.0.0", "::"):
        return None
    names = [name for name in settings.allowed_hosts if "/" not in name]
    if names:
        return "from other machines " + " or ".join(f"http://{f'[{name}]' if ':' in name else name}:{port}/" for name in names)
    if settings.allowed_hosts:
        return f"from other machines by an address in {', '.join(settings.allowed_hosts)}, port {port}"
    return (
        f"other machines are refused until it knows the name or address that they call it by: add --allow-host NAME (here perhaps "
        f"--allow-host {socket.gethostname()}), or the setting allowed_hosts"
    )


def _asking(settings: Settings) -> Runtime | None:
    """Have the brokers that the configuration names asked for depth, unless somebody else asks them; None when none is named."""
    if not settings.connections:
        return None
    from queue_metrics import _core
    from queue_metrics.recording.named import probes_of
    from queue_metrics.recording.runtime import Runtime

    runtime = Runtime(settings)
    runtime.recorder.describe(_core.PRODUCER, "", "", "")
    for name, connection in settings.connections.items():
        for probe in probes_of(name, connection, runtime.recorder):
            runtime.watch(probe)
    runtime.on_producer()
    return runtime


def refuse_open_doors(settings: Settings) -> None:
    """
    Nobody serves numbers to a network without a token.

    Raises:
        ConfigurationError: says what to do.
    """
    from queue_metrics.http.guard import is_loopback

    if settings.token is None and not is_loopback(settings.host):
        raise ConfigurationError(
            f"listening at {settings.host} lets others on the network read your numbers, so a token is needed. "
            "Either stay at --host 127.0.0.1, or make one: "
            "export QUEUE_METRICS_TOKEN=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')"
        )
