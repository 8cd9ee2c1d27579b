"""Ed25519ph and points of small order (RFC 8032)."""

import hashlib
import itertools

import pytest

from bundler.trust import ed25519 as points
from bundler.trust.ed25519 import PrehashKey, is_sound
from tests.support.cases import each
from tests.support.points import NOT_CANONICAL, SMALL_ORDER
from tests.support.signing import Key, ed25519ph
from tests.support.steps import steps

# RFC 8032, section 7.3, "TEST abc"
PUBLIC = bytes.fromhex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf")
SIGNATURE = bytes.fromhex(
    "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
)
PREHASH = hashlib.sha512(b"abc").digest()


def verifies_prehashed(public: bytes, signature: bytes, prehash: bytes) -> bool:
    key = PrehashKey.of(public)
    return key is not None and key.verifies(signature, prehash)


def public_of(key: Key) -> bytes:
    """The point alone, which ends the key's DER."""
    return key.spki[-32:]


def test_the_vector_of_the_rfc_verifies() -> None:
    assert verifies_prehashed(PUBLIC, SIGNATURE, PREHASH)


def test_what_is_signed_here_as_cosign_signs_verifies() -> None:
    key = Key.of("ed25519")
    assert verifies_prehashed(public_of(key), key.sign_prehashed(b"image"), hashlib.sha512(b"image").digest())


def test_a_plain_signature_is_not_a_prehashed_one() -> None:
    key = Key.of("ed25519")
    public = public_of(key)
    assert not verifies_prehashed(public, key.sign(b"abc"), PREHASH)
    assert not verifies_prehashed(public, key.sign(PREHASH), PREHASH)


@pytest.mark.parametrize("at", [0, 31, 32, 63])
def test_another_signature_does_not_verify(at: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[at] ^= 1
    assert not verifies_prehashed(PUBLIC, bytes(changed), PREHASH)


def test_another_message_or_key_does_not_verify() -> None:
    assert not verifies_prehashed(PUBLIC, SIGNATURE, hashlib.sha512(b"abd").digest())
    assert not verifies_prehashed(public_of(Key.of("ed25519")), SIGNATURE, PREHASH)


def test_a_scalar_that_is_not_reduced_does_not_verify() -> None:
    scalar = int.from_bytes(SIGNATURE[32:], "little") + points._L
    assert not verifies_prehashed(PUBLIC, SIGNATURE[:32] + scalar.to_bytes(32, "little"), PREHASH)


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:63], SIGNATURE + b"\0", bytes(64), b"\xff" * 64])
def test_what_has_not_the_form_of_a_signature_does_not_verify(signature: bytes) -> None:
    assert not verifies_prehashed(PUBLIC, signature, PREHASH)


def test_a_key_that_is_no_point_verifies_nothing() -> None:
    assert not verifies_prehashed(b"\x02" + bytes(31), SIGNATURE, PREHASH)
    assert not verifies_prehashed(PUBLIC[:31], SIGNATURE, PREHASH)


@pytest.mark.parametrize("name", [name for name in NOT_CANONICAL if name.startswith("order")])
def test_a_key_in_another_than_its_one_form_verifies_nothing(name: str) -> None:
    """RFC 8032, section 5.1.3. Read as the point that it seems to be, it would have signed every fourth message that one likes."""
    public = bytes.fromhex(NOT_CANONICAL[name])

    def committed(nonce: int) -> bytes:
        return points._encode(points._times(nonce, points._BASE))

    def challenge(commitment: bytes) -> int:
        return int.from_bytes(hashlib.sha512(points._DOM2 + commitment + public + PREHASH).digest(), "little") % points._L

    nonce, commitment = next((n, made) for n in itertools.count(1) if challenge(made := committed(n)) % 4 == 0)
    assert not verifies_prehashed(public, commitment + nonce.to_bytes(32, "little"), PREHASH)


@pytest.mark.parametrize("commitment", [bytes.fromhex(text) for text in SMALL_ORDER.values()][:1])
def test_a_commitment_of_small_order_does_not_verify_though_the_equation_holds(commitment: bytes) -> None:
    """Its signer has chosen the nonce 0, and so given the key away."""
    scalar = 8 * 12345
    public = points._encode(points._times(scalar, points._BASE))
    signature = ed25519ph(scalar, commitment, 0, b"abc")
    challenge = points._L - int.from_bytes(hashlib.sha512(points._DOM2 + commitment + public + PREHASH).digest(), "little") % points._L
    signed = points._times(int.from_bytes(signature[32:], "little"), points._BASE)
    left = points._add(signed, points._times(challenge, points._decode(public) or points._BASE))
    assert points._encode(left) == commitment
    assert not verifies_prehashed(public, signature, PREHASH)


@each("encoded", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_a_point_of_small_order_is_not_sound(encoded: str) -> None:
    assert points._decode(bytes.fromhex(encoded)) is not None
    assert not is_sound(bytes.fromhex(encoded))


@pytest.mark.parametrize("encoded", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_a_point_in_another_than_its_one_form_is_not_sound(encoded: str) -> None:
    assert points._decode(bytes.fromhex(encoded)) is None
    assert not is_sound(bytes.fromhex(encoded))


@pytest.mark.parametrize("point", [b"", PUBLIC[:31], PUBLIC + b"\0", b"\x02" + bytes(31)])
def test_what_is_no_point_is_not_sound(point: bytes) -> None:
    assert not is_sound(point)


def test_honest_keys_are_sound() -> None:
    assert all(is_sound(public_of(Key.of("ed25519", number))) for number in range(8))


def test_a_worthless_signature_costs_a_station_few_steps() -> None:
    """Anybody can put a thousand beside an image. Each is new, and none is refused before the equation is asked."""
    key = PrehashKey.of(PUBLIC)
    assert key is not None
    with steps() as taken:
        assert not any(key.verifies(number.to_bytes(32, "big") + SIGNATURE[32:], PREHASH) for number in range(20))
    assert taken() < 20 * 2_000  # of about a microsecond each
