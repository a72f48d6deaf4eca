"""What the URL of a store may look like, and how it is shown without its password. Opens nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from queue_metrics.errors import ConfigurationError

FORMS = (
    "memory://  or  memory://name          in this process only",
    "sqlite:////absolute/path.db           a file; sqlite:///relative.db counts from the working directory",
    "redis://[user:password@]host[:6379][/0]",
    "rediss://...                          the same over TLS",
    "unix://[user:password@]/path/to/redis.sock[?db=0]",
    "postgresql://[user:password@]host[:5432]/database[?sslmode=verify-full]",
    "mysql://[user:password@]host[:3306]/database[?ssl_mode=verify_identity]   or  mariadb://...",
    "redis+sentinel://[user:password@]sentinel[:26379],sentinel/service[/0]",
    "redis+cluster://[user:password@]node[:6379],node",
)
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster", "rediss+sentinel", "rediss+cluster")
SQL_SCHEMES = ("sqlite", "postgresql", "postgres", "mysql", "mariadb")
SCHEMES = ("memory", *SQL_SCHEMES, *REDIS_SCHEMES)

REDIS_OPTIONS = frozenset(
    {"db", "username", "password", "client_name", "health_check_interval", "max_connections"}
    | {"ssl_keyfile", "ssl_certfile", "ssl_password", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_check_hostname"}
)
"""What may stand behind `?`. Timeouts, retries and decoding are ours: exactness rests on them."""
SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})
"""Behind `?` of a Sentinel URL besides: for the sentinels themselves, whose users are not those of the servers."""

PERCENT = "a password with special characters written as %XX"
_MASK = "***"
_SECRET_NAMES = re.compile(r"passw|secret|token|pwd", re.IGNORECASE)
_PLACES = re.compile(r"[^:@]*(:\d+)?(,[^:@]*(:\d+)?)*|\[[^\]@]*\](:\d+)?")
"""Hosts with their ports, and nobody who asks."""
_WITH_AT = re.compile(r"[?&](client_name|username|sentinel_username|application_name|user)=[^&@]*@[^&@]*$")
"""Options in which an @ is no end of a password."""


def masked(url: str) -> str:
    """
    The URL with every password replaced; also of text that is no URL, since it ends up in messages.

    A password that was not written as %XX may hold any character: what stands between the first colon and the last @ is taken for it, and
    rather too much is hidden than a part of it shown.
    """
    scheme, slashes, rest = url.partition("://")
    if scheme.lower() == "sqlite" and rest.startswith("/"):
        return url  # a path, which is taken literally
    user, at, place = rest.rpartition("@") if slashes else url.rpartition("@")
    if not slashes:
        return f"{_MASK}@{place}" if at else url
    if at and not (_PLACES.fullmatch(re.split(r"[/?#]", rest, maxsplit=1)[0]) and _WITH_AT.search(rest)):
        name, colon, _ = user.partition(":")
        rest = f"{name}{colon}{_MASK if colon else ''}@{place}"
    head, separator, query = rest.partition("?")
    if separator:
        fields = parse_qsl(query, keep_blank_values=True)
        secret = any(_SECRET_NAMES.search(name) for name, _ in fields)
        # Behind a password that holds an &, its rest looks like an option without a value.
        told = [(name, _MASK if _SECRET_NAMES.search(name) else value) if value or not secret else (_MASK, value) for name, value in fields]
        query = urlencode(told, safe="*/", errors="replace")
    return f"{scheme}://{head}{separator}{query}"


def scheme_of(url: str) -> str:
    """
    The scheme of a store URL that this version can open.

    Raises:
        ConfigurationError: no URL, or a scheme that is unknown; says what there is.
    """
    try:
        url.encode()
    except UnicodeEncodeError:
        raise malformed(url, "it holds half of a character, which is no text") from None
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if scheme in SCHEMES and separator:
        return scheme
    if url == "":
        raise malformed(url, "the store URL is empty")
    if not separator:
        fits = difflib.get_close_matches(re.split(r"[:/]", scheme, maxsplit=1)[0], SCHEMES, 1, 0.7)
        raise malformed(url, "no scheme", f"{fits[0]}://" if fits else "")
    fits = difflib.get_close_matches(scheme, SCHEMES, 1, 0.5)
    raise malformed(url, f"unknown scheme {scheme!r}", f"{fits[0]}://" if fits else "")


def malformed(url: str, why: str, suggestion: str = "") -> ConfigurationError:
    """An error that says what is wrong with the store URL, what may have been meant and which forms there are."""
    hint = f"; did you mean {suggestion}?" if suggestion else ""
    forms = "\n  ".join(FORMS)
    told = f"the store URL {masked(url)!r} cannot be used: {why}{hint}"
    return ConfigurationError(f"{told}\nA store is one of:\n  {forms}\nTo try one: queue-metrics doctor --store URL")


def sqlite_path(url: str) -> Path:
    """
    The absolute path behind `sqlite:///`. It is taken literally: nothing is decoded, `?` and `#` are characters like any other.

    Raises:
        ConfigurationError: no path, a directory, a database in memory, or a relative path whose directory does not exist.
    """
    rest = url.partition("://")[2]
    if not rest.startswith("/"):
        raise malformed(
            url, "a third slash begins the path", f"sqlite:///{rest}" if rest and "@" not in rest else "sqlite:////absolute/path.db"
        )
    text = rest[1:]
    if text in ("", "/") or text.endswith("/"):
        raise malformed(url, "it names no file")
    if text.startswith(":memory:"):
        raise malformed(url, "a database in memory cannot be shared by threads", "memory://")
    if "\0" in text:
        raise malformed(url, "a path holds no NUL")
    path = Path(text)
    if path.is_absolute():
        return Path("/", *path.parts[1:])  # "//" at the start has a meaning of its own in POSIX
    if not path.parent.is_dir():
        raise malformed(url, f"it is relative, and there is no directory {str(path.parent)!r} here", f"sqlite:////{text}")
    return path.resolve()


@dataclass(frozen=True, slots=True)
class RedisParts:
    """What a Redis URL says."""

    kind: str
    """single, unix, sentinel or cluster."""
    tls: bool
    hosts: list[tuple[str, int]]
    service: str
    """The name of the master that sentinels are asked for."""
    node_url: str
    """The URL of one node, as redis-py reads it; of a cluster or behind sentinels that of the first host."""
    sentinel_options: dict[str, str]


def check_redis(url: str) -> None:
    """
    Refuse a Redis URL that the client would misread.

    Raises:
        ConfigurationError: no host, a port or database that is no number, no path of a socket, no service, an unknown option.
    """
    redis_parts(url)


def redis_parts(url: str) -> RedisParts:
    """
    Take a Redis URL apart.

    Raises:
        ConfigurationError: as `check_redis`.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise unsplit(url) from None
    scheme, _, kind = parts.scheme.lower().partition("+")
    kind = kind or ("unix" if scheme == "unix" else "single")
    query = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(query)
    known = REDIS_OPTIONS | SENTINEL_OPTIONS if kind == "sentinel" else REDIS_OPTIONS
    check_options(url, options, known)
    if not _is_number(options.get("max_connections", "2")) or int(options.get("max_connections", 2)) < 2:
        raise malformed(url, "max_connections is a number, 2 at least: a transaction holds one and reads by another", "?max_connections=20")
    if "db" in options and not _is_number(options["db"]):
        raise malformed(url, f"the database is a number, not {options['db']!r}", "?db=0")
    if kind == "unix":
        if len(parts.path) < 2:
            raise malformed(url, "no path of a socket", "unix:///run/redis/redis.sock")
        return RedisParts(kind, False, [], "", url, {})
    if "@" in parts.path:
        raise unsplit(url)
    user, at, places = parts.netloc.rpartition("@")
    hosts = [_host(url, place, 26379 if kind == "sentinel" else 6379) for place in (places.split(",") if kind != "single" else [places])]
    service, _, database = parts.path.strip("/").partition("/") if kind == "sentinel" else ("", "", parts.path.strip("/"))
    if kind == "sentinel" and not service:
        raise malformed(url, "no service behind the sentinels", f"{parts.scheme}://{places}/mymaster/0")
    if database and not _is_number(database):
        raise malformed(url, f"the database is a number, not {quote(database)!r}", f"{parts.scheme}://{places}/{service or '0'}")
    if kind == "cluster" and (int(database or 0) or int(options.get("db", 0))):
        raise malformed(url, "a cluster has database 0 only")
    host, port = hosts[0]
    rest = urlencode([(name, value) for name, value in query if name not in SENTINEL_OPTIONS])
    node = f"{scheme}://{user}{at}{f'[{host}]' if ':' in host else host}:{port}/{database}{'?' if rest else ''}{rest}"
    asking = {name: value for name, value in options.items() if name in SENTINEL_OPTIONS}
    return RedisParts(kind, scheme == "rediss", hosts, unquote(service), node, asking)


def check_options(url: str, options: Mapping[str, str], known: frozenset[str]) -> None:
    """
    Refuse an option that is not known.

    Raises:
        ConfigurationError: says which there are. What may be the rest of a password is not repeated.
    """
    secret = any(_SECRET_NAMES.search(name) for name in options)
    for name, value in options.items():
        if name not in known:
            if (secret and not value) or "@" in name + value:
                raise unsplit(url)
            fits = difflib.get_close_matches(name, sorted(known), 1)
            raise malformed(url, f"unknown option {name!r}; there are {', '.join(sorted(known))}", fits[0] if fits else "")


def _host(url: str, place: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{place}")
        given = parts.port
    except ValueError:
        raise unsplit(url) from None
    if not parts.hostname or parts.netloc != place:
        raise malformed(url, "no host", "redis://127.0.0.1:6379/0")
    if given == 0:
        raise malformed(url, "port 0")
    return parts.hostname, given or port


def unsplit(url: str) -> ConfigurationError:
    """An error for a URL that cannot be taken apart. Python's own names the part that it could not read, which may be of a password."""
    return malformed(url, "its host or port cannot be read", PERCENT)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
