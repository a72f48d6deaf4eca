"""What the URL of a database server may look like. Opens nothing."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from queue_metrics.storage.urls import malformed, masked

POSTGRESQL_OPTIONS = frozenset(
    {"host", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "application_name", "target_session_attrs"}
    | {"passfile", "service", "channel_binding", "gssencmode", "krbsrvname"}
)
"""What may stand behind `?` and goes to libpq. Timeouts and keep-alive are ours."""

SSL_MODES = ("disabled", "required", "verify_ca", "verify_identity")

MYSQL_OPTIONS = frozenset({"unix_socket", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password"})
"""What may stand behind `?`."""


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
    except ValueError as error:
        raise malformed(url, str(error).replace(url, masked(url)), "a password with special characters written as %XX") from None
    if parts.fragment:
        raise malformed(url, "a # begins what no server sees", "a password with special characters written as %XX")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in allowed:
            fits = difflib.get_close_matches(name, sorted(allowed), 1)
            raise malformed(url, f"unknown option {name!r}; there are {', '.join(sorted(allowed))}", fits[0] if fits else "")
    if port == 0:
        raise malformed(url, "port 0")
    database = unquote(parts.path[1:])
    if not database or "/" in database:
        raise malformed(url, "the path is the name of one database", f"{parts.scheme}://{parts.hostname or 'localhost'}/metrics")
    user, password = (None if one is None else unquote(one) for one in (parts.username, parts.password))
    host = None if parts.hostname is None else unquote(parts.hostname)
    return Address(user, password, host, port, database, options)
