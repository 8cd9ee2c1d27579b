"""Whatever a library raises on foreign bytes, at whatever boundary: a failed check, and never the end of a run.

The boundaries are found in the source, so that a new one is noticed: whoever touches the library outside the guard, or
where no scenario here goes, fails a test. Then each is entered with a library that raises what it likes.
"""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.x509 import certificate_transparency

import bundler.trust
from bundler.errors import BundlerError, Code, FormatError, TrustError, UsageError
from bundler.oci import mediatype
from bundler.trust import trusttoml
from bundler.trust import x509 as ours
from bundler.trust.foreign import foreign, verifies
from bundler.trust.judge import judge
from bundler.trust.keys import PublicKey
from bundler.trust.policy import Policy
from bundler.trust.sealtrust import open_seal
from bundler.trust.sigstore.anchor import Root
from bundler.trust.verdict import Verdict
from tests.support import cms, notary
from tests.support.signing import EXPORTER, Key, Scene, b64, payload, policy, seal
from tests.support.world import AT, IDENTITY, ISSUER, MINUTE, Issued, Signature, World, authority_json, canonical, log_json

TRUST = Path(bundler.trust.__path__[0])
WORLD = World()


class Panic(BaseException):
    """As pyo3's PanicException, by which a panic in Rust comes out: no Exception."""


RAISED = [
    *(ValueError("no"), KeyError(99), TypeError("no"), AttributeError("no"), RecursionError("no"), OverflowError("no"), AssertionError()),
    *(
        UnsupportedAlgorithm("no"),
        x509.UnsupportedGeneralNameType("no", 3),
        NotImplementedError(),
        StopIteration(),
        Panic("unwrap on None"),
    ),
]


# --- the guard ---


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_library_raises_is_our_error(raised: BaseException) -> None:
    with pytest.raises(TrustError) as refusal, foreign("what", code=Code.X509_CHAIN, to=TrustError):
        raise raised
    assert (refusal.value.code, refusal.value.what, refusal.value.__cause__) == (Code.X509_CHAIN, "what", raised)
    assert refusal.value.found

    @foreign("what", code=Code.X509_MALFORMED)
    def asked() -> None:
        raise raised

    with pytest.raises(FormatError) as refusal_of_function:
        asked()
    assert refusal_of_function.value.code is Code.X509_MALFORMED


@pytest.mark.parametrize("raised", [UsageError("ours"), KeyboardInterrupt(), SystemExit(3), MemoryError(), GeneratorExit()], ids=repr)
def test_what_is_no_word_of_the_library_passes_as_it_is(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as passed, foreign("what", code=Code.X509_MALFORMED):
        raise raised
    assert passed.value is raised


def test_what_a_library_repeats_of_what_it_read_is_cut_and_escaped() -> None:
    with pytest.raises(FormatError) as refusal, foreign("what", code=Code.X509_MALFORMED):
        raise ValueError("\x1b[2J" * 1000)
    assert len(refusal.value.found or "") == 160
    assert (refusal.value.found or "").isprintable()


def test_a_signature_verifies_does_not_or_cannot_be_asked() -> None:
    def raising(error: BaseException) -> Callable[[], None]:
        def check() -> None:
            raise error

        return check

    assert verifies(lambda: None)
    assert not verifies(raising(InvalidSignature()))
    with pytest.raises(FormatError) as refusal:
        verifies(raising(Panic()))
    assert refusal.value.code is Code.SIGNATURE_MALFORMED


# --- where the boundaries are ---

HARMLESS = {"hashes", "padding", "utils", "Encoding", "PublicFormat", "ExtendedKeyUsageOID", "NameOID", "AuthorityInformationAccessOID"}
"""What is no more than a constant, or is made of constants."""
FOREIGN = (
    *(x509.Certificate, x509.CertificateRevocationList, x509.RevokedCertificate, x509.Extensions, x509.Extension, x509.Name),
    *(x509.IssuingDistributionPoint, x509.KeyUsage, x509.BasicConstraints, certificate_transparency.SignedCertificateTimestamp),
    *(ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, mldsa.MLDSA44PublicKey, rsa.RSAPublicKey),
)
ALWAYS = {"parsed", "extensions", "value", "verify", "public_key", "public_bytes"}


@dataclass(frozen=True)
class Touch:
    """A place in the source where the library is asked something."""

    path: str
    line: int
    what: str
    guarded: bool
    in_lambda: bool


def touches(path: str, source: str, own: frozenset[str]) -> Iterator[Touch]:
    tree = ast.parse(source)
    names = {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and _is_library(n.module) for a in n.names}
    if names:
        attributes = {name for kind in FOREIGN for name in dir(kind) if not name.startswith("_")} - own | ALWAYS
        yield from _touches(path, tree, (), names - HARMLESS, attributes)


def _touches(path: str, node: ast.AST, above: tuple[ast.AST, ...], names: set[str], attributes: set[str]) -> Iterator[Touch]:
    inside = any(isinstance(a, ast.FunctionDef | ast.Lambda) for a in above)
    what = node.id if isinstance(node, ast.Name) and node.id in names else None
    what = node.attr if isinstance(node, ast.Attribute) and node.attr in attributes else what
    if inside and what:
        within = next(a for a in reversed(above) if isinstance(a, ast.FunctionDef | ast.Lambda))
        yield Touch(path, node.lineno, what, _is_guarded((*above, node)), isinstance(within, ast.Lambda))  # type: ignore[attr-defined]
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params") or (isinstance(node, ast.ExceptHandler) and field == "type"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_only_a_type(node, child):
                yield from _touches(path, child, (*above, node), names, attributes)


def _is_library(module: str | None) -> bool:
    return module is not None and f"{module}.".startswith("cryptography.")


def _is_only_a_type(node: ast.AST, child: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, kind]):
            return child is kind
        case ast.Call(func=ast.Name(id="cast"), args=[kind, _]):
            return child is kind
        case ast.MatchClass(cls=kind):
            return child is kind
    return False


def _is_guarded(above: tuple[ast.AST, ...]) -> bool:
    for node, child in pairwise(above):
        if isinstance(node, ast.With) and child in node.body and any(_is_guard(item.context_expr) for item in node.items):
            return True
        if isinstance(node, ast.FunctionDef) and any(map(_is_guard, node.decorator_list)):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "verifies":
            return True
    return False


def _is_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "foreign"


def _own(sources: list[str]) -> frozenset[str]:
    """What members of our own classes are called: of such a name nobody can say whose it is."""
    classes = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    functions = {item.name for node in classes for item in node.body if isinstance(item, ast.FunctionDef)}
    fields = {i.target.id for node in classes for i in node.body if isinstance(i, ast.AnnAssign) and isinstance(i.target, ast.Name)}
    return frozenset(functions | fields)


def found() -> list[Touch]:
    paths = sorted(TRUST.rglob("*.py"))
    own = _own([path.read_text() for path in paths])
    return [touch for path in paths for touch in touches(str(path), path.read_text(), own)]


def test_the_library_is_touched_inside_the_guard_alone() -> None:
    outside = [f"{touch.path}:{touch.line}: {touch.what}" for touch in found() if not touch.guarded]
    assert not outside, "\n".join(outside)


IMPORT = "from cryptography import x509\n"
GUARD = '@foreign("a", code=b)\n'


@pytest.mark.parametrize(
    ("source", "guarded"),
    [
        (IMPORT + "def f(raw):\n    return x509.load_der_x509_certificate(raw)", False),
        (IMPORT + "def f(certificate):\n    return certificate.parsed", False),
        (IMPORT + "def f(c):\n    return c.not_valid_before_utc", False),
        (IMPORT + "def f(key):\n    return lambda: key.verify(b'', b'')", False),
        (IMPORT + "def f(raw):\n    with suppress(ValueError):\n        return x509.load_der_x509_crl(raw)", False),
        (IMPORT + "def f(raw):\n    with foreign(x509.load(raw), code=b):\n        pass", False),
        (IMPORT + GUARD + "def f(raw):\n    return x509.load_der_x509_certificate(raw)", True),
        (IMPORT + 'def f(raw):\n    with foreign("a", code=b):\n        return x509.load_der_x509_certificate(raw)', True),
        (IMPORT + "def f(key):\n    return verifies(lambda: key.verify(b'', b''))", True),
    ],
)
def test_a_touch_outside_the_guard_is_seen(source: str, guarded: bool) -> None:
    seen = list(touches("a.py", source, frozenset()))
    assert seen
    assert all(touch.guarded is guarded for touch in seen)


# --- a library that raises what it likes, at each of them ---

LEAF = notary.leaf_of(notary.ISSUER, more=[(notary.CDP, False)])
RSA_LEAF = notary.leaf_of(notary.ISSUER, key=notary.WORLD.rsa_key("signer"))
RSA_TSA = WORLD.tsa_of(key=WORLD.rsa_key("tsa"), common="timestamps by RSA")
SCOPE = x509.IssuingDistributionPoint(
    full_name=[x509.UniformResourceIdentifier("http://crl.example/a.crl")],
    relative_name=None,
    only_contains_user_certs=True,
    only_contains_ca_certs=False,
    only_some_reasons=None,
    indirect_crl=False,
    only_contains_attribute_certs=False,
)
USER_NAME = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), cms.tlv(0x0C, IDENTITY.encode()))
KINDS = ("p256", "p384", "ed25519", "rsa3072", "mldsa44")


def _with_rsa(value: dict[str, Any]) -> dict[str, Any]:
    """The root of a Sigstore whose log and timestamp authority have RSA keys."""
    value["tlogs"] = [log_json("https://rsa.world.example", WORLD.rsa_key("log"))]
    value["timestampAuthorities"] = [authority_json("https://rsa-tsa.world.example", RSA_TSA, WORLD.tsa_ca)]
    return value


FILES = {
    **{f"keys/{kind}.pub": Key.of(kind).pem for kind in KINDS},
    "root.json": canonical(WORLD.root_json()),
    "rsa.json": canonical(_with_rsa(WORLD.root_json())),
    "ca.crt": notary.ROOT.pem,
    "tsa.crt": notary.WORLD.tsa_ca.pem,
    # One that covers the signer's certificate, and one that names it as lost after it had signed.
    "good.crl": notary.crl_of(notary.ISSUER, extensions=[(SCOPE, True)]),
    "late.crl": notary.crl_of(notary.ISSUER, LEAF, invalidity=AT + MINUTE),
}
STORES = """
[[root]]
name = "world"
file = "root.json"
[[root]]
name = "rsa"
file = "rsa.json"
[[store]]
name = "release"
type = "ca"
certificates = ["ca.crt"]
crl = ["good.crl", "late.crl"]
[[store]]
name = "stamps"
type = "tsa"
certificates = ["tsa.crt"]
"""


def trust(signer: str) -> tuple[bytes, dict[str, bytes]]:
    return f'version = 1\nserial = 1\n{STORES}\n[[rule]]\nscope = "**"\nsigner = [{signer}]\n'.encode(), FILES


def by_key(kind: str) -> tuple[Scene, str]:
    image = Scene.of_image()
    made = payload(image.root)
    image.content.sig(image.root.digest, (made, Key.of(kind).sign(made)))
    return image, f'{{ key = "keys/{kind}.pub" }}'


def by_identity(
    entries: Callable[[Signature], list[Any]], name: x509.GeneralName | None = None, root: str = "world", **stamp: Any
) -> tuple[Scene, str]:
    image = Scene.of_image()
    signed = WORLD.signed(image.root.raw, leaf=WORLD.leaf(names=[name] if name else None))
    material = {
        "certificate": {"rawBytes": b64(signed.leaf.der)},
        "tlogEntries": entries(signed),
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": b64(signed.stamp(**stamp))}]},
    }
    content = {"messageSignature": {"signature": b64(signed.signature)}}
    image.add({"mediaType": mediatype.SIGSTORE_BUNDLE_V03, "verificationMaterial": material, **content})
    return image, f'{{ issuer = "{ISSUER}", identity = "{IDENTITY}", root = "{root}" }}'


def by_store(leaf: Issued) -> tuple[Scene, str]:
    image = Scene.of_image()
    said = canonical({"targetArtifact": image.root.descriptor.to_json()})
    signing = notary.Signing(chain=(leaf, notary.ISSUER, notary.ROOT), payload=said, stamp={})
    image.content.notation(image.root, signing.jws())
    return image, '{ store = "release", subject = "CN=release", tsa = "stamps" }'


SCENES: dict[str, Callable[[], tuple[Scene, str]]] = {
    **{f"a key: {kind}": partial(by_key, kind) for kind in KINDS},
    "an identity in the old log": partial(by_identity, lambda signed: [signed.entry()]),
    "an identity in the new log": partial(by_identity, lambda signed: [signed.tile()], USER_NAME, by_key_id=True),
    "an identity in a log with RSA": partial(by_identity, lambda signed: [signed.entry(key=WORLD.rsa_key("log"))], root="rsa", tsa=RSA_TSA),
    "a store": partial(by_store, LEAF),
    "a store, and a certificate with RSA": partial(by_store, RSA_LEAF),
}
Place = tuple[str, int, bool]
"""A file, a line, and whether it is inside a lambda of that line."""
PLACES = {(touch.path, touch.line, touch.in_lambda) for touch in found()}


class Tracer:
    """Goes with a run through the package's trust, notes where it touches the library, and may raise there."""

    def __init__(self, at: Place | None = None, raised: BaseException | None = None) -> None:
        self.at, self.raised = at, raised
        self.seen: dict[Place, None] = {}

    def run(self, what: Callable[[], Any]) -> Any:
        before = sys.gettrace()
        sys.settrace(self._of_frame)
        try:
            return what()
        finally:
            sys.settrace(before)

    def _of_frame(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._of_line if frame.f_code.co_filename.startswith(str(TRUST)) else None

    def _of_line(self, frame: FrameType, event: str, _argument: object) -> Any:
        place = (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name == "<lambda>")
        if event == "line" and place in PLACES:
            self.seen[place] = None
            if place == self.at and self.raised is not None:
                raise self.raised
        return self._of_line


def judged(image: Scene, by: Policy) -> Verdict:
    ours._builder.cache_clear()
    return judge(by, image.image, image.evidence, at=AT)


def loaded(text: bytes, files: dict[str, bytes]) -> Policy | None:
    """None where it was refused, or something of a root was left out: what is wrong with one part takes nothing from another."""
    try:
        got = trusttoml.parse(text, files)
    except BundlerError:
        return None
    return None if any(isinstance(root, Root) and root.trusted.left_out for root in got.anchors) else got


@pytest.mark.parametrize("name", SCENES)
def test_one_signature_cannot_end_a_run_whatever_the_library_raises(name: str) -> None:
    image, signer = SCENES[name]()
    by = trusttoml.parse(*trust(signer))
    whole = Tracer()
    assert whole.run(lambda: judged(image, by)).passed
    assert whole.seen
    for place in whole.seen:
        for raised in (KeyError(99), Panic("unwrap on None")):
            verdict = Tracer(place, raised).run(lambda: judged(image, by))
            assert not verdict.passed or _has_another_way(place), place
            assert Code.INTERNAL not in verdict.reasons


def _has_another_way(place: Place) -> bool:
    """Who issued a certificate is asked of several; that one of them cannot be compared takes nothing from the others."""
    return "verify_directly_issued_by" in Path(place[0]).read_text().splitlines()[place[1] - 1]


@pytest.mark.parametrize("raised", [KeyError(99), Panic("unwrap on None")])
def test_a_seal_stays_shut_whatever_the_library_raises(raised: BaseException) -> None:
    by, made = policy(seals=[seal(EXPORTER)]), hashlib.sha256(b"sealed").digest()
    whole = Tracer()
    assert whole.run(lambda: open_seal(by, [EXPORTER.sign(b"sealed")], made)).met
    (place,) = whole.seen
    assert not Tracer(place, raised).run(lambda: open_seal(by, [EXPORTER.sign(b"sealed")], made)).met


@pytest.mark.parametrize("name", SCENES)
def test_trust_that_the_library_cannot_read_is_refused_whatever_it_raises(name: str) -> None:
    text, files = trust(SCENES[name]()[1])
    whole = Tracer()
    assert whole.run(lambda: loaded(text, files))
    for place in whole.seen:
        for raised in (KeyError(99), Panic("unwrap on None")):
            assert Tracer(place, raised).run(lambda: loaded(text, files)) is None or _has_another_way(place), place


def test_every_place_that_touches_the_library_was_entered() -> None:
    """So that a further one is not forgotten above."""
    entered: set[Place] = set()
    for scene in SCENES.values():
        image, signer = scene()
        tracer = Tracer()
        by = tracer.run(partial(trusttoml.parse, *trust(signer)))
        tracer.run(partial(judged, image, by))
        entered |= tracer.seen.keys()
    for key in (Key.of("secp256k1"), Key.of("rsa1024"), Key("rsa", rsa.generate_private_key(3, 2048))):
        tracer = Tracer()
        with pytest.raises(UsageError):
            tracer.run(partial(PublicKey.parse, key.pem, role="image"))
        entered |= tracer.seen.keys()
    missed = sorted(f"{path}:{line}" for path, line, _ in PLACES - entered)
    assert not missed, "\n".join(missed)
