"""Timestamps (RFC 3161): a token over some bytes becomes a time that an authority vouches for.

A token is CMS SignedData (RFC 5652) with one signer. It names its signer; who that is decides which authority is meant,
and never an order in which certificates lie beside it (CVE-2026-39984).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bundler.errors import Code, TrustError
from bundler.trust import der
from bundler.trust.der import Element, Items, context, oid
from bundler.trust.foreign import foreign, verifies
from bundler.trust.need import need
from bundler.trust.x509 import Authority, Certificate, Purpose, accepted_key

MAX_TOKEN = 64 << 10  # bytes; with the longest chains that authorities embed they have 8 KiB
MAX_CERTIFICATES = 16
MAX_ACCURACY = 24 * 60 * 60  # seconds; real ones say one, and a time known to the day proves little

_SIGNED_DATA = oid("1.2.840.113549.1.7.2")
_TST_INFO = oid("1.2.840.113549.1.9.16.1.4")
_CONTENT_TYPE = oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = oid("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE = oid("1.2.840.113549.1.9.16.2.12")  # RFC 2634; its SHA-1 only picks a certificate, as RFC 3161 had it
_SIGNING_CERTIFICATE_V2 = oid("1.2.840.113549.1.9.16.2.47")  # RFC 5035
_BASELINE_POLICY = oid("0.4.0.2023.1.1")  # ETSI TS 102 023: accuracy of a second where none is said

_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    oid("2.16.840.1.101.3.4.2.1"): hashes.SHA256(),
    oid("2.16.840.1.101.3.4.2.2"): hashes.SHA384(),
    oid("2.16.840.1.101.3.4.2.3"): hashes.SHA512(),
}
_SHA1 = hashes.SHA1()  # noqa: S303 - RFC 2634 picks a certificate by it; nothing is proved by it
_RSA_ENCRYPTION = oid("1.2.840.113549.1.1.1")
_RSA_PSS = oid("1.2.840.113549.1.1.10")
_MGF1 = oid("1.2.840.113549.1.1.8")
_RSA_PKCS1: dict[bytes, hashes.HashAlgorithm] = {
    oid("1.2.840.113549.1.1.11"): hashes.SHA256(),
    oid("1.2.840.113549.1.1.12"): hashes.SHA384(),
    oid("1.2.840.113549.1.1.13"): hashes.SHA512(),
}
_ECDSA: dict[bytes, hashes.HashAlgorithm] = {
    oid("1.2.840.10045.4.3.2"): hashes.SHA256(),
    oid("1.2.840.10045.4.3.3"): hashes.SHA384(),
    oid("1.2.840.10045.4.3.4"): hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time that was proved, and by whom."""

    time: datetime
    accuracy: timedelta
    authority: Authority
    chain: tuple[Certificate, ...]
    """From the certificate that signed to the authority's anchor."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An AlgorithmIdentifier: the content of its OID, and its parameters."""

    oid: bytes
    parameters: Element | None

    @classmethod
    def parse(cls, element: Element) -> "Algorithm":
        items = element.expect(der.SEQUENCE).items()
        name = items.take(der.OBJECT_IDENTIFIER).content
        return cls(name, next(iter(items.rest()), None))

    @property
    def hash(self) -> hashes.HashAlgorithm:
        """The digest that it is; any other than SHA-2 is refused (``tsa.algorithm``)."""
        return _known(_HASHES, self.oid, "digest")


@dataclass(frozen=True, slots=True)
class Info:
    """What a token says (RFC 3161, section 2.4.2, TSTInfo)."""

    algorithm: Algorithm
    imprint: bytes
    time: datetime
    accuracy: timedelta

    @classmethod
    def parse(cls, raw: bytes) -> "Info":
        items = Element.parse(raw, der.SEQUENCE).items()
        version = items.take(der.INTEGER).integer()
        need(version == 1, Code.TSA_MALFORMED, "a timestamp of another version", found=version, wanted=1)
        policy = items.take(der.OBJECT_IDENTIFIER).content
        imprint = items.take(der.SEQUENCE).items()
        algorithm = Algorithm.parse(imprint.take(der.SEQUENCE))
        digest = imprint.take(der.OCTET_STRING).content
        imprint.end()
        items.take(der.INTEGER).integer()
        time = items.take(der.GENERALIZED_TIME).time()
        accuracy = _accuracy(items.maybe(der.SEQUENCE), policy)
        items.maybe(der.BOOLEAN)
        items.maybe(der.INTEGER)
        items.maybe(context(0))
        extensions = items.maybe(context(1))
        items.end()
        need(not _any_critical(extensions), Code.TSA_MALFORMED, "a timestamp has a critical extension, which nobody here understands")
        return cls(algorithm, digest, time, accuracy)


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """Who signed a token, and what besides its content (RFC 5652, section 5.3)."""

    issuer_and_serial: tuple[bytes, int] | None
    key_identifier: bytes | None
    digest: Algorithm
    signed: Element
    """The signed attributes."""
    algorithm: Algorithm
    signature: bytes = field(repr=False)

    @classmethod
    def parse(cls, element: Element) -> "SignerInfo":
        items = element.expect(der.SEQUENCE).items()
        items.take(der.INTEGER).integer()
        identifier = items.maybe(context(0, constructed=False))
        named = None if identifier else _issuer_and_serial(items.take(der.SEQUENCE))
        digest = Algorithm.parse(items.take(der.SEQUENCE))
        signed = items.take(context(0))
        algorithm = Algorithm.parse(items.take(der.SEQUENCE))
        signature = items.take(der.OCTET_STRING).content
        items.maybe(context(1))
        items.end()
        return cls(named, identifier.content if identifier else None, digest, signed, algorithm, signature)

    def names(self, certificate: Certificate) -> bool:
        """Whether this is the certificate that it says has signed."""
        if self.issuer_and_serial is not None:
            return self.issuer_and_serial == certificate.issuer_and_serial
        with foreign("the key identifier of a certificate cannot be read", code=Code.X509_MALFORMED):
            identifier = certificate.extension(x509.SubjectKeyIdentifier)
            return identifier is not None and identifier.value.digest == self.key_identifier

    def attributes(self) -> dict[bytes, Element]:
        """The signed attributes by type; none twice, each with one value."""
        found: dict[bytes, Element] = {}
        for attribute in self.signed.items().rest():
            items = attribute.expect(der.SEQUENCE).items()
            kind = items.take(der.OBJECT_IDENTIFIER).content
            values = items.take(der.SET).items().rest()
            items.end()
            need(kind not in found, Code.TSA_ATTRIBUTES, "a timestamp has a signed attribute twice", found=kind.hex())
            need(len(values) == 1, Code.TSA_ATTRIBUTES, "a signed attribute does not have exactly one value", found=len(values), wanted=1)
            found[kind] = values[0]
        return found


@dataclass(frozen=True, slots=True)
class TimestampToken:
    """A timestamp token as it was read, before anything in it is believed."""

    content: bytes = field(repr=False)
    """The encoded ``info``, which is what is signed."""
    info: Info
    signer: SignerInfo
    certificates: tuple[Certificate, ...]

    @classmethod
    def parse_response(cls, raw: bytes) -> "TimestampToken":
        """From a TimeStampResp (RFC 3161, section 2.4.2). Raises FormatError and TrustError (``tsa.status``, ``tsa.malformed``)."""
        _check_size(raw)
        items = Element.parse(raw, der.SEQUENCE).items()
        status = items.take(der.SEQUENCE).items().take(der.INTEGER).integer()
        need(status in (0, 1), Code.TSA_STATUS, "a timestamp was not granted", found=status, wanted="0 or 1")
        token = items.take(der.SEQUENCE)
        items.end()
        return cls.parse(token.raw)

    @classmethod
    def parse(cls, raw: bytes) -> "TimestampToken":
        """From a TimeStampToken, which is a CMS ContentInfo. Raises FormatError and TrustError (``tsa.malformed``)."""
        _check_size(raw)
        signed = _typed(Element.parse(raw, der.SEQUENCE), _SIGNED_DATA, der.SEQUENCE, "CMS SignedData").items()
        signed.take(der.INTEGER).integer()
        _read_algorithms(signed.take(der.SET))
        content = _typed(signed.take(der.SEQUENCE), _TST_INFO, der.OCTET_STRING, "a timestamp").content
        certificates = _certificates(signed.maybe(context(0)))
        signed.maybe(context(1))
        signers = signed.take(der.SET).items().rest()
        signed.end()
        need(len(signers) == 1, Code.TSA_MALFORMED, "a timestamp does not have exactly one signer", found=len(signers), wanted=1)
        return cls(content, Info.parse(content), SignerInfo.parse(signers[0]), certificates)

    def verified(self, messages: Sequence[bytes], authorities: Iterable[Authority], *, chains: bool = False) -> Stamp:
        """The time at which one of the ``authorities`` saw one of the ``messages``, whichever the format's writers had stamped.

        With ``chains`` the certificates in the token may also lead from its signer to an anchor (Notation, whose stores
        hold anchors alone); without, only those of the authority may (Sigstore).

        Raises TrustError: ``tsa.unknown`` where the signer is nobody of the authorities, any other code where it is and
        the token does not verify.
        """
        authorities = tuple(authorities)
        attributes = self.signer.attributes()
        signer, meant = self._signer(_certificate_digests(attributes), authorities, chains=chains)
        self._check_attributes(attributes, signer)
        self._check_signature(signer)
        imprints = [_digest(self.info.algorithm.hash, message) for message in messages]
        need(self.info.imprint in imprints, Code.TSA_IMPRINT, "a timestamp of other bytes", found=self.info.imprint.hex()[:128])
        _check_leaf(signer)
        return self._as_of_its_time(signer, meant, others=self.certificates if chains else ())

    def _signer(
        self, digests: "list[CertificateDigest]", authorities: tuple[Authority, ...], *, chains: bool
    ) -> tuple[Certificate, list[Authority]]:
        """The certificate that signed, and the authorities that it may be of."""
        trusted = [c for authority in authorities for c in authority.certificates]
        named = [c for c in (*trusted, *self.certificates) if self.signer.names(c)]
        need(bool(named), Code.TSA_UNKNOWN, "a timestamp by a certificate that is neither in it nor in the root")
        signer = next((c for c in named if all(digest.is_of(c) for digest in digests)), named[0])
        # By who issued it and not by a name alone: an authority that is trusted no more may have had the same.
        meant = [a for a in authorities if chains or signer in a.certificates or any(map(signer.is_issued_by, a.certificates))]
        need(bool(meant), Code.TSA_UNKNOWN, "a timestamp by another authority", found=signer.issuer)
        return signer, meant

    def _check_attributes(self, attributes: dict[bytes, Element], signer: Certificate) -> None:
        kind = attributes.get(_CONTENT_TYPE)
        need(kind is not None and kind.oid() == _TST_INFO, Code.TSA_ATTRIBUTES, "the signed content type is not a timestamp's")
        signed = attributes.get(_MESSAGE_DIGEST)
        found = _digest(self.signer.digest.hash, self.content)
        need(
            signed is not None and signed.octets() == found,
            Code.TSA_ATTRIBUTES,
            "the signed digest is of another content",
            wanted=found.hex(),
        )
        digests = _certificate_digests(attributes)
        need(bool(digests), Code.TSA_ATTRIBUTES, "a timestamp does not say by a signed attribute whose it is", wanted="signingCertificate")
        need(all(d.is_of(signer) for d in digests), Code.TSA_ATTRIBUTES, "a timestamp says that it is by another certificate")

    def _check_signature(self, signer: Certificate) -> None:
        key = signer.key
        algorithm, signature = self.signer.algorithm, self.signer.signature
        signed = bytes([der.SET]) + self.signer.signed.raw[1:]  # RFC 5652, section 5.4: under its own tag, not the implicit one
        if isinstance(key, rsa.RSAPublicKey):
            by_rsa = key
            verified = verifies(lambda: by_rsa.verify(signature, signed, *self._rsa(algorithm)))
        elif isinstance(key, ec.EllipticCurvePublicKey):
            by_ec = key
            verified = verifies(lambda: by_ec.verify(signature, signed, ec.ECDSA(_known(_ECDSA, algorithm.oid, "signature algorithm"))))
        else:
            raise TrustError("a timestamp with another kind of key", code=Code.TSA_ALGORITHM, wanted="RSA or ECDSA")
        need(verified, Code.TSA_SIGNATURE, "the signature of a timestamp does not verify", found=signer.subject)

    def _rsa(self, algorithm: Algorithm) -> tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]:
        if algorithm.oid == _RSA_PSS:
            return _pss(algorithm)
        if algorithm.oid == _RSA_ENCRYPTION:
            return padding.PKCS1v15(), self.signer.digest.hash
        return padding.PKCS1v15(), _known(_RSA_PKCS1, algorithm.oid, "signature algorithm")

    def _as_of_its_time(self, signer: Certificate, meant: list[Authority], *, others: tuple[Certificate, ...]) -> Stamp:
        refusals = []
        for authority in meant:
            try:
                chain = authority.chain(signer, others=others, at=self.info.time, purpose=Purpose.TIME_STAMPING)
            except TrustError as error:
                refusals.append(error)
            else:
                return Stamp(self.info.time, self.info.accuracy, authority, chain)
        raise refusals[0]


@dataclass(frozen=True, slots=True)
class CertificateDigest:
    """Which certificate has signed, as a signed attribute says it (RFC 5035, section 4; RFC 2634, section 5.4)."""

    algorithm: hashes.HashAlgorithm
    digest: bytes

    def is_of(self, certificate: Certificate) -> bool:
        return _digest(self.algorithm, certificate.der) == self.digest


def _certificate_digests(attributes: dict[bytes, Element]) -> list[CertificateDigest]:
    found = []
    if first := attributes.get(_SIGNING_CERTIFICATE):
        found.append(CertificateDigest(_SHA1, _first_id(first).take(der.OCTET_STRING).content))
    if second := attributes.get(_SIGNING_CERTIFICATE_V2):
        items = _first_id(second)
        algorithm = items.maybe(der.SEQUENCE)
        by = Algorithm.parse(algorithm).hash if algorithm else hashes.SHA256()
        found.append(CertificateDigest(by, items.take(der.OCTET_STRING).content))
    return found


def _first_id(value: Element) -> Items:
    """The first of a list of certificate identifiers, which is the signer's; those of a chain may follow."""
    return value.expect(der.SEQUENCE).items().take(der.SEQUENCE).items().take(der.SEQUENCE).items()


def _check_size(raw: bytes) -> None:
    need(len(raw) <= MAX_TOKEN, Code.TSA_MALFORMED, "a timestamp is over its limit", found=len(raw), wanted=MAX_TOKEN)


def _typed(element: Element, kind: bytes, tag: int, what: str) -> Element:
    """What a pair of a type and an explicitly tagged value holds, if the type is ``kind``."""
    items = element.items()
    need(items.take(der.OBJECT_IDENTIFIER).content == kind, Code.TSA_MALFORMED, f"a timestamp holds something else than {what}")
    value = Element.parse(items.take(context(0)).content, tag)
    items.end()
    return value


def _read_algorithms(listed: Element) -> None:
    """What a token says of the digests in it is asked of its signer alone; but nothing in it may have two readings."""
    for element in listed.items().rest():
        Algorithm.parse(element)


def _certificates(bag: Element | None) -> tuple[Certificate, ...]:
    elements = bag.items().rest() if bag else []
    need(
        len(elements) <= MAX_CERTIFICATES,
        Code.TSA_MALFORMED,
        "a timestamp with too many certificates",
        found=len(elements),
        wanted=MAX_CERTIFICATES,
    )
    return tuple(Certificate.parse(e.raw) for e in elements)


def _issuer_and_serial(element: Element) -> tuple[bytes, int]:
    items = element.items()
    issuer, serial = items.take(der.SEQUENCE).raw, items.take(der.INTEGER).integer()
    items.end()
    return issuer, serial


def _accuracy(element: Element | None, policy: bytes) -> timedelta:
    if element is None:
        return timedelta(seconds=1 if policy == _BASELINE_POLICY else 0)
    items = element.items()
    parts = [items.maybe(tag) for tag in (der.INTEGER, context(0, constructed=False), context(1, constructed=False))]
    items.end()
    seconds, milliseconds, microseconds = (Element(der.INTEGER, e.content, e.raw).integer() if e else 0 for e in parts)
    fits = 0 <= seconds <= MAX_ACCURACY and 0 <= milliseconds <= 999 and 0 <= microseconds <= 999
    need(fits, Code.TSA_MALFORMED, "a timestamp's accuracy is not valid", found=f"{seconds} s {milliseconds} ms {microseconds} µs")
    return timedelta(seconds=seconds, milliseconds=milliseconds, microseconds=microseconds)


def _any_critical(extensions: Element | None) -> bool:
    critical = []
    for extension in extensions.items().rest() if extensions else []:
        items = extension.expect(der.SEQUENCE).items()
        items.take(der.OBJECT_IDENTIFIER)
        critical.append(items.maybe(der.BOOLEAN) is not None)
    return any(critical)


@foreign("the extensions of a certificate cannot be read", code=Code.X509_MALFORMED)
def _check_leaf(signer: Certificate) -> None:
    """RFC 3161, section 2.3: a certificate for timestamps and nothing else."""
    usage = signer.extension(x509.ExtendedKeyUsage)
    alone = usage is not None and usage.critical and list(usage.value) == [Purpose.TIME_STAMPING.value]
    need(
        alone,
        Code.TSA_LEAF,
        "a timestamp by a certificate that is not for timestamps alone",
        wanted="critical extended key usage timeStamping",
    )
    accepted_key(signer.spki)
    need(not signer.is_ca, Code.TSA_LEAF, "a timestamp by the certificate of a CA", found=signer.subject)


def _pss(algorithm: Algorithm) -> tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]:
    """RFC 4055, section 3.1; one digest for all, and a salt of its length."""
    need(algorithm.parameters is not None, Code.TSA_ALGORITHM, "RSASSA-PSS with SHA-1")
    assert algorithm.parameters is not None
    items = algorithm.parameters.expect(der.SEQUENCE).items()
    by = Algorithm.parse(Element.parse(items.take(context(0)).content)).hash
    mask = Algorithm.parse(Element.parse(items.take(context(1)).content))
    same = mask.oid == _MGF1 and mask.parameters is not None and Algorithm.parse(mask.parameters).hash.name == by.name
    need(same, Code.TSA_ALGORITHM, "RSASSA-PSS with two digests", wanted=f"MGF1 with {by.name}")
    salt = Element.parse(items.take(context(2)).content).integer()
    items.end()
    need(salt == by.digest_size, Code.TSA_ALGORITHM, "RSASSA-PSS with a salt of another length", found=salt, wanted=by.digest_size)
    return padding.PSS(padding.MGF1(by), padding.PSS.DIGEST_LENGTH), by


def _known(table: dict[bytes, hashes.HashAlgorithm], name: bytes, what: str) -> hashes.HashAlgorithm:
    if name not in table:
        raise TrustError(f"a timestamp with a {what} that is not accepted", code=Code.TSA_ALGORITHM, found=f"OID {name[:32].hex()}")
    return table[name]


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    return hashlib.new(algorithm.name, data, usedforsecurity=False).digest()
