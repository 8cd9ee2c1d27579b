"""Ed25519 where the library leaves off: points of small order, and Ed25519ph.

Verification only, so nothing here is secret and plain integers will do (RFC 8032, sections 5.1 and 6).
"""

import hashlib

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_DOM2 = b"SigEd25519 no Ed25519 collisions\x01\x00"  # RFC 8032, section 5.1: prehashed, no context

_Point = tuple[int, int, int, int]  # X, Y, Z, T: x = X/Z, y = Y/Z, xy = T/Z
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


def verifies_prehashed(public: bytes, signature: bytes, prehash: bytes) -> bool:
    """Whether ``signature`` is an Ed25519ph signature by ``public`` over the message with the SHA-512 ``prehash``.

    Cosign 3 signs so with Ed25519 keys. Like OpenSSL for the plain form, without the cofactor, and ``R`` compared as bytes.
    """
    if len(signature) != 64 or not is_sound(signature[:32]):
        return False
    commitment, scalar = signature[:32], int.from_bytes(signature[32:], "little")
    point = _decode(public)
    if point is None or scalar >= _L:  # same past limit 1: L is 0, for which nobody finds a commitment
        return False
    challenge = int.from_bytes(hashlib.sha512(_DOM2 + commitment + public + prehash).digest(), "little") % _L
    return _encode(_sum_of_multiples(scalar, _BASE, challenge, _negated(point))) == commitment


def _decode(encoded: bytes) -> _Point | None:
    """RFC 8032, section 5.1.3; None for what is no point or not its only encoding."""
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
    return _sum_of_multiples(number, point, 0, _IDENTITY)


def _sum_of_multiples(number: int, point: _Point, other_number: int, other_point: _Point) -> _Point:
    """``number * point + other_number * other_point``, both walked at once."""
    choices = (_IDENTITY, point, other_point, _add(point, other_point))
    total = _IDENTITY
    for bit in range(max(number.bit_length(), other_number.bit_length()) - 1, -1, -1):
        total = _add(total, total)
        choice = (number >> bit & 1) | (other_number >> bit & 1) << 1
        total = _add(total, choices[choice]) if choice else total
    return total
