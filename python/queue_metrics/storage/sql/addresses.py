"""What the URL of a database server may look like. Opens nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from queue_metrics.storage.urls import PERCENT, check_options, malformed, unsplit

POSTGRESQL_OPTIONS = frozenset(
    {"host", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "application_name", "target_session_attrs"}
    | {"passfile", "service", "channel_binding", "gssencmode", "krbsrvname"}
)
"""What may stand behind `?` and goes to libpq. Timeouts and keep-alive are ours."""

SSL_MODES = ("disabled", "required", "verify_ca", "verify_identity")

MYSQL_OPTIONS = frozenset({"unix_socket", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password"})
"""What may stand behind `?`."""

_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
"""What libpq refuses, repeating the part of the URL that it is in."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and who asks, decoded."""

    user: str | None
    password: str | None
    host: str | None
    port: int | None
    database: str
    options: dict[str, str]


def address(url: str, allowed: frozenset[str]) -> Address:
    """
    A server's URL in its parts.

    Raises:
        ConfigurationError: no database, a port that is none, an unknown option, a password that was not written as %XX.
    """
    try:
        parts = urlsplit(url)
        port = None if "," in parts.netloc else parts.port
    except ValueError:
        raise unsplit(url) from None
    if parts.fragment:
        raise malformed(url, "a # begins what no server sees", PERCENT)
    if _BAD_PERCENT.search(parts.netloc):
        raise malformed(url, "a % is followed by two hexadecimal digits that are not 00", PERCENT)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    check_options(url, options, allowed)
    if port == 0:
        raise malformed(url, "port 0")
    database = unquote(parts.path[1:])
    if "@" in database:
        raise unsplit(url)
    if not database or "/" in database:
        raise malformed(url, "the path is the name of one database", f"{parts.scheme}://{parts.hostname or 'localhost'}/metrics")
    user, password = (None if one is None else unquote(one) for one in (parts.username, parts.password))
    host = None if parts.hostname is None else unquote(parts.hostname)
    return Address(user, password, host, port, database, options)
