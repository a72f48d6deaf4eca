"""XXH3 with 64 bits, seed 0, as its specification tells it (doc/xxhash_spec.md of xxHash 0.8.2); shares no code with the package."""

from __future__ import annotations

import struct

_M32, _M64 = 2**32 - 1, 2**64 - 1
_P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
_P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
_MX1, _MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25
_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def xxh3_64(data: bytes) -> int:
    """The hash as a number."""
    if len(data) <= 16:
        return _short(data)
    if len(data) <= 240:
        return _medium(data)
    return _long(data)


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _u64(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<Q", data, at)[0])


def _fold(a: int, b: int) -> int:
    product = a * b
    return (product & _M64) ^ (product >> 64)


def _avalanche(value: int) -> int:
    value ^= value >> 37
    value = value * _MX1 & _M64
    return value ^ value >> 32


def _avalanche_xxh64(value: int) -> int:
    value = (value ^ value >> 33) * _P64[1] & _M64
    value = (value ^ value >> 29) * _P64[2] & _M64
    return value ^ value >> 32


def _swap(value: int) -> int:
    return int.from_bytes(value.to_bytes(8, "little"), "big")


def _short(data: bytes) -> int:
    length = len(data)
    if length == 0:
        return _avalanche_xxh64(_u64(_SECRET, 56) ^ _u64(_SECRET, 64))
    if length <= 3:
        combined = data[length - 1] | length << 8 | data[0] << 16 | data[length >> 1] << 24
        return _avalanche_xxh64((_u32(_SECRET, 0) ^ _u32(_SECRET, 4)) ^ combined)
    if length <= 8:
        first, last = _u32(data, 0), _u32(data, length - 4)
        value = (_u64(_SECRET, 8) ^ _u64(_SECRET, 16)) ^ (last | first << 32)
        value ^= (value << 49 & _M64 | value >> 15) ^ (value << 24 & _M64 | value >> 40)
        value = value * _MX2 & _M64
        value ^= (value >> 35) + length
        value = value * _MX2 & _M64
        return value ^ value >> 28
    low = (_u64(_SECRET, 24) ^ _u64(_SECRET, 32)) ^ _u64(data, 0)
    high = (_u64(_SECRET, 40) ^ _u64(_SECRET, 48)) ^ _u64(data, length - 8)
    return _avalanche((length + _swap(low) + high + _fold(low, high)) & _M64)


def _mix(data: bytes, at: int, secret: int) -> int:
    return _fold(_u64(data, at) ^ _u64(_SECRET, secret), _u64(data, at + 8) ^ _u64(_SECRET, secret + 8))


def _medium(data: bytes) -> int:
    length = len(data)
    value = length * _P64[0]
    if length <= 128:
        for pair in range((length - 1) // 32, -1, -1):
            value += _mix(data, 16 * pair, 32 * pair) + _mix(data, length - 16 * pair - 16, 32 * pair + 16)
        return _avalanche(value & _M64)
    for block in range(8):
        value += _mix(data, 16 * block, 16 * block)
    value = _avalanche(value & _M64)
    for block in range(8, length // 16):
        value += _mix(data, 16 * block, 16 * (block - 8) + 3)
    return _avalanche((value + _mix(data, length - 16, 136 - 17)) & _M64)


def _accumulate(lanes: list[int], data: bytes, at: int, secret: int) -> None:
    for lane in range(8):
        word = _u64(data, at + 8 * lane)
        key = word ^ _u64(_SECRET, secret + 8 * lane)
        lanes[lane ^ 1] = lanes[lane ^ 1] + word & _M64
        lanes[lane] = lanes[lane] + (key & _M32) * (key >> 32) & _M64


def _long(data: bytes) -> int:
    lanes = [_P32[2], _P64[0], _P64[1], _P64[2], _P64[3], _P32[1], _P64[4], _P32[0]]
    stripes_per_block = (len(_SECRET) - 64) // 8
    block = 64 * stripes_per_block
    blocks = (len(data) - 1) // block
    for number in range(blocks):
        for stripe in range(stripes_per_block):
            _accumulate(lanes, data, number * block + 64 * stripe, 8 * stripe)
        for lane in range(8):
            value = lanes[lane] ^ lanes[lane] >> 47 ^ _u64(_SECRET, len(_SECRET) - 64 + 8 * lane)
            lanes[lane] = value * _P32[0] & _M64
    for stripe in range((len(data) - 1 - blocks * block) // 64):
        _accumulate(lanes, data, blocks * block + 64 * stripe, 8 * stripe)
    _accumulate(lanes, data, len(data) - 64, len(_SECRET) - 64 - 7)
    value = len(data) * _P64[0]
    for pair in range(4):
        value += _fold(lanes[2 * pair] ^ _u64(_SECRET, 11 + 16 * pair), lanes[2 * pair + 1] ^ _u64(_SECRET, 11 + 16 * pair + 8))
    return _avalanche(value & _M64)
