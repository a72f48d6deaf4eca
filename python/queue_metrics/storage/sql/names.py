"""The ids of what has a name, and numbers as databases have them."""

from __future__ import annotations

import hashlib

WORKER, LEASE, SCHEMA, MIGRATION = "w", "l", "v", "m"
"""Types of headers beside those of the general operations (k, h, s, z)."""

FINITE = 1.7976931348623157e308
"""The largest double: the bound that stands for infinity, which MySQL does not have."""


def digest(text: str) -> bytes:
    """BLAKE2b-128 of the UTF-8 bytes: a key of one length for a text of any."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def header_id(letter: str, name: str) -> bytes:
    """The id of the header of a name in one type."""
    return digest(f"{letter}:{name}")


def signed(series: int) -> int:
    """A u64 as the signed number that databases have."""
    return series - 2**64 if series >= 2**63 else series


def unsigned(series: int) -> int:
    """The u64 that was stored as a signed number."""
    return series % 2**64


def text(value: str | bytes) -> str:
    """Text, which one database keeps as bytes."""
    return value if isinstance(value, str) else bytes(value).decode()
