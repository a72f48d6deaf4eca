"""Who may ask: the Host allow-list, the token, and the headers that every answer carries. Pure functions of a request's head."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from queue_metrics.errors import ConfigurationError

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI gives them: names in lower case."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SHORTEST_TOKEN = 16
"""Characters; shorter ones can be guessed over the network, as there is no limit of attempts."""

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        # The page needs its one style sheet and its icon, and nothing else: no script, no frame, no form, no other host.
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
)

CHALLENGES = ('Bearer realm="queue-metrics"', 'Basic realm="queue-metrics", charset="UTF-8"')
"""Basic so that a browser can ask: any user, the token as the password. Only for reading, so nothing can be forged with it."""


class Guard:
    """The door: which names the server answers to, and to whom."""

    def __init__(self, token: str | None, allowed_hosts: Sequence[str] = ()) -> None:
        """
        Args:
            token: None: everybody may read.
            allowed_hosts: names, addresses or networks, beside those of loopback.

        Raises:
            ConfigurationError: the token is too short.
        """
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise ConfigurationError(
                f"the token must have at least {SHORTEST_TOKEN} characters; make one: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        self._digest = None if token is None else _digest(token.encode())
        self._names = {"localhost", *(_canonical(host) for host in allowed_hosts)}
        self._networks = [network for host in allowed_hosts if (network := _network(host)) is not None]

    @property
    def asks(self) -> bool:
        """Whether a token is needed."""
        return self._digest is not None

    def host_allowed(self, headers: Headers) -> bool:
        """
        Whether the request names this server as it is known; a page of another name that was made to resolve to us does not.

        Exactly one Host header is asked for, its port does not matter.
        """
        given = [value for name, value in headers if name == b"host"]
        if len(given) != 1:
            return False
        host = _host(given[0].decode("latin-1"))
        if host is None:
            return False
        if host in self._names:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return mapped.is_loopback or any(mapped in network for network in self._networks)

    def authorised(self, headers: Headers) -> bool:
        """Whether the request has the token, or none is needed."""
        if self._digest is None:
            return True
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) != 1:
            return False
        secret = _secret(given[0])
        # Digests of equal length are compared, so that the time says nothing about the token.
        return secret is not None and hmac.compare_digest(_digest(secret), self._digest)

    @staticmethod
    def meant(headers: Headers) -> bool:
        """
        Whether whoever sends a request that changes something means it: no page of another site made a browser send it.

        A browser adds a password that it knows to whatever any page sends, but never a bearer token; and it says where the page is from.
        """
        given = dict(headers)
        if given.get(b"authorization", b"").lower().startswith(b"basic"):
            return False
        site, origin = given.get(b"sec-fetch-site", b"none"), given.get(b"origin")
        own = origin is None or origin.partition(b"://")[2] == given.get(b"host")
        return own and site in (b"none", b"same-origin")


def is_loopback(host: str) -> bool:
    """Whether an address to bind to, or of a client, is of this machine only."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _secret(authorization: bytes) -> bytes | None:
    scheme, _, credentials = authorization.partition(b" ")
    credentials = credentials.strip()
    if scheme.lower() == b"bearer":
        return credentials
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(credentials, validate=True).partition(b":")[2]
        except binascii.Error:
            return None
    return None


def _canonical(host: str) -> str:
    return host.strip().strip("[]").lower().rstrip(".")


def _network(host: str) -> _Network | None:
    try:
        return ipaddress.ip_network(host.strip().strip("[]"))
    except ValueError:
        return None


def _host(header: str) -> str | None:
    """The name or address in a Host header without its port; None when it is malformed."""
    header = header.strip()
    if header.startswith("["):
        name, bracket, port = header[1:].partition("]")
        port = port.removeprefix(":") if port.startswith(":") or not port else "?"
        if not bracket:
            return None
    else:
        name, _, port = header.partition(":")
    return _canonical(name) if name and (not port or (port.isascii() and port.isdigit())) else None
