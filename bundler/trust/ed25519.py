"""Ed25519 where the library leaves off: points of small order, and Ed25519ph.

Verification only, so nothing here is secret and plain integers will do (RFC 8032, sections 5.1 and 6).
"""

import hashlib
from functools import cache, cached_property

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_DOM2 = b"SigEd25519 no Ed25519 collisions\x01\x00"  # RFC 8032, section 5.1: prehashed, no context

_Point = tuple[int, int, int, int]  # X, Y, Z, T: x = X/Z, y = Y/Z, xy = T/Z
_Table = tuple[tuple[_Point, ...], ...]
_IDENTITY: _Point = (0, 1, 1, 0)
_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960
_BASE: _Point = (_X, _Y, 1, _X * _Y % _P)


def is_sound(point: bytes) -> bool:
    """Whether these 32 bytes are the one encoding of a point that is not of small order.

    Under a key of small order, one signature fits many messages: under the identity, all.
    """
    decoded = _decode(point)
    return decoded is not None and _encode(_times(8, decoded)) != _encode(_IDENTITY)


class PrehashKey:
    """A key that may have made Ed25519ph signatures, as cosign 3 makes them with Ed25519 keys."""

    def __init__(self, public: bytes, point: _Point) -> None:
        self._public = public
        self._point = point

    @classmethod
    def of(cls, public: bytes) -> "PrehashKey | None":
        """None for what is not sound."""
        point = _decode(public)
        return cls(public, point) if point is not None and is_sound(public) else None

    def verifies(self, signature: bytes, prehash: bytes) -> bool:
        """Whether ``signature`` is by this key over the message with the SHA-512 ``prehash``.

        Like OpenSSL for the plain form, without the cofactor, and ``R`` compared as bytes. Half a millisecond: that a
        station can be kept busy with worthless signatures is why there are tables, and why R is decoded last.
        """
        if len(signature) != 64:
            return False
        commitment, scalar = signature[:32], int.from_bytes(signature[32:], "little")
        if scalar >= _L:  # mutant-equivalent past limit 1: L is 0, for which nobody finds a commitment
            return False
        challenge = int.from_bytes(hashlib.sha512(_DOM2 + commitment + self._public + prehash).digest(), "little") % _L
        found = _encode(_plus_multiple(_plus_multiple(_IDENTITY, scalar, _base_table()), challenge, self._table))
        return found == commitment and is_sound(commitment)

    @cached_property
    def _table(self) -> _Table:
        return _table_of(_negated(self._point))


def _decode(encoded: bytes) -> _Point | None:
    """RFC 8032, section 5.1.3; None for what is not a point or not its only encoding."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    if len(encoded) != 32 or y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P == -u % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else _P - x
    return (x, y, 1, x * y % _P)


def _encode(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _negated(point: _Point) -> _Point:
    x, y, z, t = point
    return (-x % _P, y, z, -t % _P)


def _add(one: _Point, other: _Point) -> _Point:
    """RFC 8032, section 5.1.4; complete, so it doubles too."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(number: int, point: _Point) -> _Point:
    total = _IDENTITY
    for bit in range(number.bit_length() - 1, -1, -1):
        total = _add(total, total)
        total = _add(total, point) if number >> bit & 1 else total
    return total


def _table_of(point: _Point) -> _Table:
    """1 to 15 times 16**n times the point, for each of the 64 digits that a number below L has in base 16: 0.4 MB in 4 ms."""
    table = []
    for _ in range(64):
        multiples = [point]
        while len(multiples) < 15:
            multiples.append(_add(multiples[-1], point))
        table.append(tuple(map(_prepared, multiples)))
        point = _add(multiples[-1], point)
    return tuple(table)


@cache
def _base_table() -> _Table:
    return _table_of(_BASE)


def _prepared(point: _Point) -> _Point:
    """Of the other summand of ``_add``, what does not depend on the first."""
    x, y, z, t = point
    return ((y - x) % _P, (y + x) % _P, 2 * _D * t % _P, 2 * z % _P)


def _plus_multiple(total: _Point, number: int, table: _Table) -> _Point:
    """``total`` and ``number`` times the point of ``table``, digit by digit, without a doubling."""
    for multiples in table:
        if digit := number & 15:
            x, y, z, t = total
            minus, plus, d_t, two_z = multiples[digit - 1]
            a, b, c, d = (y - x) * minus % _P, (y + x) * plus % _P, t * d_t % _P, z * two_z % _P
            e, f, g, h = b - a, d - c, d + c, b + a
            total = (e * f % _P, g * h % _P, f * g % _P, e * h % _P)
        number >>= 4
    return total
