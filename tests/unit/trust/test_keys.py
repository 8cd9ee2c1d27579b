"""Pinned keys: which are taken, and what they verify (SIG cases of docs/hostile-cases.md)."""

import base64
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import BundlerError, Code, TrustError, UsageError
from bundler.trust import keys
from bundler.trust.keys import Algorithm, PublicKey, Signed
from tests.support.cases import each
from tests.support.points import NOT_CANONICAL, SMALL_ORDER
from tests.support.signing import AT, P256, Key, b64, pem

KINDS = ["p256", "p384", "p521", "rsa2048", "rsa3072", "ed25519", "mldsa44", "mldsa65", "mldsa87"]
SEALING = ["p256", "p384", "rsa3072"]
N_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def spki(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


def refused(raw: bytes, role: keys.Role = "image") -> UsageError:
    with pytest.raises(UsageError) as caught:
        PublicKey.parse(raw, role=role)
    return caught.value


def invalid(key: Key, signature: bytes, data: bytes = b"data") -> Code:
    with pytest.raises(TrustError) as caught:
        key.public.verify(signature, data)
    return caught.value.code


# --- which keys ---


@each("kind", KINDS)
def test_a_key_verifies_what_it_signed_and_nothing_else(kind: str) -> None:
    key = Key.of(kind)
    key.public.verify(key.sign(b"data"), b"data")
    assert invalid(key, key.sign(b"data"), b"Data") is Code.SIGNATURE_INVALID
    assert invalid(key, Key.of(kind, 2).sign(b"data")) is Code.SIGNATURE_INVALID


@each("kind", KINDS)
def test_a_key_is_written_as_it_was_read_and_named_by_its_spki(kind: str) -> None:
    key = Key.of(kind)
    assert key.public.pem == key.pem
    assert PublicKey.parse(key.public.pem, role="image") == key.public
    assert key.public.fingerprint == str(key.public) == key.fingerprint
    assert key.public.hint == b64(hashlib.sha256(key.spki).digest())


@pytest.mark.parametrize("kind", SEALING)
def test_a_seal_takes_keys_that_openssl_and_cosign_check_unaided(kind: str) -> None:
    key = Key.of(kind)
    assert key.parsed("seal").verify(key.sign(b"data"), b"data").remark is None


@each("kind", sorted(set(KINDS) - set(SEALING)))
def test_a_seal_takes_no_other_key(kind: str) -> None:
    assert refused(Key.of(kind).pem, role="seal").code is Code.TRUST_KEY


def test_a_seal_by_p384_is_always_with_sha256() -> None:
    """`openssl dgst -sha256 -verify` must do, without us."""
    key = Key.of("p384")
    with pytest.raises(TrustError):
        key.parsed("seal").verify(key.sign(b"data", algorithm=hashes.SHA384()), b"data")


@each("encoded", [*SMALL_ORDER.values(), *NOT_CANONICAL.values()], ids=[*SMALL_ORDER, *NOT_CANONICAL])
def test_trs_001_to_003_ed25519_points_under_which_anything_verifies(encoded: str) -> None:
    assert refused(pem(bytes.fromhex(f"302a300506032b6570032100{encoded}"))).code is Code.TRUST_KEY


@pytest.mark.parametrize(("size", "rule"), [(1024, "TRS-005"), (2047, "K-2"), (8448, "TRS-007")])
def test_trs_004_to_007_rsa_keys_that_are_too_small_or_too_large(size: int, rule: str) -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << size) - 159)
    assert "bits" in str(refused(pem(spki(numbers.public_key())))), rule


def test_trs_007_an_rsa_key_of_8192_bits_is_taken() -> None:
    PublicKey.parse(pem(spki(rsa.RSAPublicNumbers(65537, (1 << 8192) - 159).public_key())), role="seal")


def test_trs_004_an_rsa_key_of_512_bits_does_not_even_load() -> None:
    modulus = ((1 << 512) - 569).to_bytes(64, "big")
    numbers = b"\x30\x48\x02\x41\x00" + modulus + b"\x02\x03\x01\x00\x01"
    der = b"\x30\x5c\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x4b\x00" + numbers
    assert refused(pem(der)).code is Code.TRUST_KEY


@pytest.mark.parametrize("size", [2048, 3071])
def test_an_rsa_key_below_3072_bits_signs_images_and_no_seals(size: int) -> None:
    raw = pem(spki(rsa.RSAPublicNumbers(65537, (1 << size) - 159).public_key()))
    PublicKey.parse(raw, role="image")
    assert refused(raw, role="seal").code is Code.TRUST_KEY


@pytest.mark.parametrize("exponent", [3, 17, 65535, (1 << 31) + 1, (1 << 33) - 1])
def test_trs_006_rsa_exponents(exponent: int) -> None:
    raw = pem(spki(rsa.RSAPublicNumbers(exponent, (1 << 2048) - 159).public_key()))
    assert "exponent" in str(refused(raw))


def test_trs_008_a_point_that_is_not_on_its_curve() -> None:
    der = bytearray(P256.spki)
    der[-1] ^= 1
    assert refused(pem(bytes(der))).code is Code.TRUST_KEY


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_trs_009_a_private_key_is_refused_and_its_owner_warned(form: PrivateFormat) -> None:
    error = refused(P256.private.private_bytes(Encoding.PEM, form, NoEncryption()))
    assert error.code is Code.TRUST_KEY
    assert "private" in str(error)
    assert error.next


@each(
    "raw",
    [
        pytest.param(P256.pem + Key.of("p256", 2).pem, id="TRS-010 two keys"),
        pytest.param(b"key of mallory: " + P256.pem, id="TRS-011 text before it, in its line"),
        pytest.param(P256.pem + P256.pem[:40], id="the beginning of a second block"),
        pytest.param(b"", id="TRS-012 empty"),
        pytest.param(pem(P256.spki, "CERTIFICATE"), id="TRS-013 another label"),
        pytest.param(pem(P256.spki, "EC PUBLIC KEY"), id="TRS-013 a label that does not exist"),
        pytest.param(pem(P256.spki + bytes(4)), id="TRS-014 bytes behind the DER"),
        pytest.param(pem(P256.spki[:-1]), id="cut"),
        pytest.param(pem(b""), id="nothing inside"),
        pytest.param(P256.spki, id="DER"),
        pytest.param(P256.pem.replace(b"-----BEGIN", b"-----BEGIN", 1).replace(b"M", b"!", 1), id="no base64"),
        pytest.param(b"\xff\xfe", id="bytes"),
        pytest.param(P256.pem + b"\n" * (16 << 10), id="more than 16 KiB"),
    ],
)
def test_trs_010_to_014_a_file_that_is_not_one_public_key(raw: bytes) -> None:
    assert refused(raw).code is Code.TRUST_KEY


def test_a_file_with_line_ends_of_windows_is_taken() -> None:
    assert PublicKey.parse(P256.pem.replace(b"\n", b"\r\n"), role="image") == P256.public


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"# release key 2026\n" + P256.pem, id="before it"),
        pytest.param(P256.pem + b"Public-Key: (256 bit)\npub:\n    04:90\n", id="behind it, as openssl -text writes it"),
        pytest.param(b"----- the key -----\n\n" + P256.pem + b"----- its end -----\n", id="with dashes"),
        pytest.param(P256.pem.replace(b"\n", b" \t\n"), id="blanks at the ends of its lines"),
    ],
)
def test_text_that_explains_a_key_is_passed_over(raw: bytes) -> None:
    """RFC 7468, sections 2 and 5.2."""
    assert PublicKey.parse(raw, role="image") == P256.public


def certificate() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "release")])
    made = x509.CertificateBuilder(name, name, P256.private.public_key(), 1, AT, AT.replace(year=2030))
    return made.sign(P256.private, hashes.SHA256())


def forms() -> dict[str, tuple[bytes, str]]:
    """Public keys in the forms that people have, and what is said of each."""
    rsa_key = Key.of("rsa3072").private.public_key()
    made = certificate()
    p256 = P256.private.public_key()
    return {
        "PKCS #1": (rsa_key.public_bytes(Encoding.PEM, PublicFormat.PKCS1), "PKCS #1"),
        "PKCS #1 in DER": (rsa_key.public_bytes(Encoding.DER, PublicFormat.PKCS1), "PKCS #1, in DER"),
        "DER": (P256.spki, "a key in DER"),
        "a certificate": (made.public_bytes(Encoding.PEM), "a certificate"),
        "a certificate in DER": (made.public_bytes(Encoding.DER), "a certificate in DER"),
        "a certificate with text before it": (b"Issuer: CN=release\n" + made.public_bytes(Encoding.PEM), "a certificate"),
        "a byte order mark": (b"\xef\xbb\xbf" + P256.pem, "a byte order mark"),
        "UTF-16": (P256.pem.decode().encode("utf-16"), "is UTF-16"),
        "PEM in base64": (base64.encodebytes(P256.pem), "PEM in base64"),
        "SSH": (p256.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), "a key of SSH"),
    }


@pytest.mark.parametrize("form", forms())
def test_a_key_in_another_form_is_refused_with_the_command_that_converts_it(form: str, tmp_path: Path) -> None:
    raw, said = forms()[form]
    error = refused(raw)
    assert error.code is Code.TRUST_KEY
    assert said in str(error)
    (tmp_path / "FILE").write_bytes(raw)
    (tmp_path / "FILE").chmod(0o600)
    _, _, command = str(error.next).partition("convert it: ")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    PublicKey.parse((tmp_path / "NEW").read_bytes(), role="image")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ\n-----END PGP PUBLIC KEY BLOCK-----\n", "an OpenPGP key", id="OpenPGP"),
        pytest.param(b'{"kty": "EC", "crv": "P-256"}', "a JSON Web Key", id="JWK"),
        pytest.param(b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n", "no whole block of PEM", id="bare base64"),
        pytest.param(pem(P256.spki, "EC PUBLIC KEY"), "found EC PUBLIC KEY", id="another label"),
    ],
)
def test_what_no_command_converts_is_named(raw: bytes, said: str) -> None:
    assert said in str(refused(raw))


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_in_der_is_one_too(form: PrivateFormat) -> None:
    assert "private" in str(refused(P256.private.private_bytes(Encoding.DER, form, NoEncryption())))


def test_a_point_in_compressed_form_is_a_second_name_for_a_key_and_refused() -> None:
    compressed = P256.private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    der = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + compressed
    assert "form" in str(refused(pem(der)))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(Key.of("secp256k1").private.public_key(), id="TRS-015 secp256k1"),
        pytest.param(ec.generate_private_key(ec.BrainpoolP256R1()).public_key(), id="brainpool"),
        pytest.param(x25519.X25519PrivateKey.generate().public_key(), id="X25519"),
        pytest.param(ed448.Ed448PrivateKey.generate().public_key(), id="Ed448"),
        pytest.param(dsa.generate_private_key(1024).public_key(), id="DSA"),  # noqa: S505 - it is refused for its kind, and soon made
    ],
)
def test_trs_015_kinds_of_key_that_are_not_on_the_list(key: object) -> None:
    error = refused(pem(spki(key)))
    assert error.code is Code.TRUST_KEY
    assert error.found


def test_trs_016_p192() -> None:
    point = "04188da80eb03090f67cbf20eb43a18800f4ff0afd82ff101207192b95ffc8da78631011ed6b24cdd573f977a11e794811"
    assert refused(pem(bytes.fromhex(f"3049301306072a8648ce3d020106082a8648ce3d030101033200{point}"))).code is Code.TRUST_KEY


def test_where_the_library_lacks_ml_dsa_the_key_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library over an OpenSSL before 3.5 cannot be made to run here; what it raises can."""

    def lacking(_: bytes) -> None:
        raise UnsupportedAlgorithm("ML-DSA is not supported")

    monkeypatch.setattr(keys, "load_der_public_key", lacking)
    assert refused(Key.of("mldsa65").pem).code is Code.KEY_UNSUPPORTED
    assert refused(Key.of("p256").pem).code is Code.TRUST_KEY


def end(raw: bytes) -> PublicKey | Code:
    try:
        return PublicKey.parse(raw, role="image")
    except BundlerError as error:
        return error.code


@given(st.binary(max_size=200))
def test_whatever_lies_in_a_key_file_it_is_a_key_or_refused(der: bytes) -> None:
    for raw in (der, pem(der), pem(P256.spki[: len(der)] + der)):
        assert isinstance(end(raw), PublicKey) or end(raw) is Code.TRUST_KEY


@each("at", range(len(P256.spki)))
def test_a_key_with_a_bit_changed_is_another_key_or_none(at: int) -> None:
    der = bytearray(P256.spki)
    der[at] ^= 1
    assert end(pem(bytes(der))) != P256.public
    assert isinstance(end(pem(bytes(der))), PublicKey) or end(pem(bytes(der))) is Code.TRUST_KEY


# --- which signatures ---


@pytest.mark.parametrize(("kind", "own"), [("p384", hashes.SHA384()), ("p521", hashes.SHA512())])
def test_larger_curves_take_their_own_hash_and_what_older_tools_used(kind: str, own: hashes.HashAlgorithm) -> None:
    """K: the curve's default first, SHA-256 reported."""
    key = Key.of(kind)
    assert key.public.verify(key.sign(b"data", algorithm=own), b"data").remark is None
    assert key.public.verify(key.sign(b"data"), b"data").remark is Code.KEY_LEGACY_HASH


@each(
    ("kind", "algorithm"),
    [
        ("p256", hashes.SHA384()),
        ("p256", hashes.SHA224()),
        ("p384", hashes.SHA512()),
        ("p521", hashes.SHA384()),
        ("rsa2048", hashes.SHA512()),
        ("rsa2048", hashes.SHA384()),
    ],
)
def test_k_1_the_key_and_not_the_signer_chooses_the_hash(kind: str, algorithm: hashes.HashAlgorithm) -> None:
    key = Key.of(kind)
    assert invalid(key, key.sign(b"data", algorithm=algorithm)) is Code.SIGNATURE_INVALID


def test_rsa_is_pkcs1_and_not_pss() -> None:
    key = Key.of("rsa2048")
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    assert isinstance(key.private, rsa.RSAPrivateKey)
    assert invalid(key, key.private.sign(b"data", pss, hashes.SHA256())) is Code.SIGNATURE_INVALID


def test_rsa_below_3072_bits_is_reported() -> None:
    assert Key.of("rsa2048").public.verify(Key.of("rsa2048").sign(b"data"), b"data").remark is Code.KEY_WEAK
    assert Key.of("rsa3072").public.verify(Key.of("rsa3072").sign(b"data"), b"data").remark is None


def test_ed25519_takes_both_of_its_forms() -> None:
    key = Key.of("ed25519")
    assert key.public.verify(key.sign(b"data"), b"data").algorithm == Algorithm("Ed25519", None, "Ed25519")
    assert key.public.verify(key.sign_prehashed(b"data"), b"data").algorithm == Algorithm("Ed25519", "sha512", "Ed25519ph")
    assert invalid(key, key.sign_prehashed(b"other")) is Code.SIGNATURE_INVALID


def _r_and_s(signature: bytes) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))


@each(
    "change",
    [
        pytest.param(lambda signature: b"", id="SIG-009 empty"),
        pytest.param(lambda signature: signature + b"\0", id="SIG-013 bytes behind it"),
        pytest.param(lambda signature: encode_dss_signature(0, 0), id="SIG-014 r and s are 0"),
        pytest.param(_r_and_s, id="SIG-015 r and s side by side"),
        pytest.param(lambda s: encode_dss_signature(decode_dss_signature(s)[0] + N_P256, decode_dss_signature(s)[1]), id="SIG-016 r + n"),
        pytest.param(lambda signature: signature[:-1] + bytes([signature[-1] ^ 1]), id="SIG-003 a bit"),
        pytest.param(lambda signature: signature[:1] + b"\x81" + signature[1:], id="a length in BER"),
    ],
)
def test_sig_009_to_016_forms_that_are_no_signature(change: Callable[[bytes], bytes]) -> None:
    assert invalid(P256, change(P256.sign(b"data"))) is Code.SIGNATURE_INVALID


@each("kind", KINDS)
def test_every_signature_cut_or_grown_is_refused(kind: str) -> None:
    key = Key.of(kind)
    signature = key.sign(b"data")
    for cut in {0, 1, len(signature) // 2, len(signature) - 1}:
        assert invalid(key, signature[:cut]) is Code.SIGNATURE_INVALID
    assert invalid(key, signature + b"\0") is Code.SIGNATURE_INVALID


# --- hints, and bytes in parts ---


def test_a_hint_is_the_digest_of_the_spki_in_base64_or_hex() -> None:
    key = P256.public
    assert all(key.is_named_by(hint) for hint in (key.hint, key.fingerprint, key.fingerprint.removeprefix("sha256:")))
    assert not any(key.is_named_by(hint) for hint in ("", "release", Key.of("p256", 2).hint))


@each("kind", KINDS)
def test_parts_are_signed_as_the_whole(kind: str) -> None:
    key = Key.of(kind)
    key.public.verify(key.sign(b"data"), Signed(b"da", b"", b"ta"))


@pytest.mark.parametrize("kind", SEALING)
def test_a_seal_is_verified_by_its_sha256_alone(kind: str) -> None:
    key = Key.of(kind)
    known = Signed.by_sha256(hashlib.sha256(b"data").digest())
    key.parsed("seal").verify(key.sign(b"data"), known)
    with pytest.raises(ValueError, match="SHA-256"):
        Key.of("ed25519").public.verify(b"", known)


def test_a_key_file_has_at_most_16_kib() -> None:
    most = P256.pem.ljust(16 << 10, b"\n")
    assert PublicKey.parse(most, role="image") == P256.public
    assert "too large" in str(refused(most + b"\n"))
