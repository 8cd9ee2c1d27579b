"""The steps by which a Notation signature is proved under a store, in their order (notaryproject/specifications,
``trust-store-trust-policy.md``, "Signature Verification": the level ``strict``, which is the only one here)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bundler import strictjson
from bundler.errors import Code, FormatError, translated
from bundler.oci.descriptor import Descriptor
from bundler.trust.need import need
from bundler.trust.notation.chain import check_chain
from bundler.trust.notation.envelope import MAX_ENVELOPE, Scheme, SignatureEnvelope
from bundler.trust.notation.revocation import check_revocation
from bundler.trust.notation.store import Store, StoreType
from bundler.trust.notation.subject import Subject
from bundler.trust.rfc3161 import TimestampToken
from bundler.trust.window import Window, spelled
from bundler.trust.x509 import Certificate

_NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Proof:
    """What is proved of an envelope."""

    subject: str
    """Of the signer's certificate."""
    anchor: str
    """The subject of the certificate in the store that vouches for it."""
    anchor_key: str
    """The fingerprint of that certificate's key."""
    time: datetime | None
    """When it was signed, where somebody vouches for that."""
    by: str
    """Who does: a timestamp authority or a signing authority; else that it is the station's clock that the chain was judged by."""


def prove(envelope: SignatureEnvelope, store: Store, subject: Subject, *, tsa: Store | None, at: datetime) -> Proof:
    """That a signer with this ``subject``, for whom ``store`` vouches, made the envelope.

    Under the scheme of signing authorities, their time is taken. Else, with ``tsa`` a timestamp by one of that store says
    when; without, the chain must be valid ``at``. What the envelope says of its expiry and what the stores say of
    revocation is judged ``at``.

    Raises TrustError and FormatError with the code of the first step that fails.
    """
    envelope.check_signature()
    check_chain(envelope.chain)
    anchor = _anchor(envelope, store)
    subject.check(envelope.chain[0])
    unexpired = envelope.expiry is None or at < envelope.expiry
    need(
        unexpired,
        Code.EXPIRY_EXPIRED,
        "a signature has expired",
        found=envelope.expiry and spelled(envelope.expiry),
        wanted=f"after {spelled(at)}",
    )
    time, accuracy, by = _time(envelope, tsa, at)
    for certificate in envelope.chain:
        valid = _lies_within(time or at, accuracy, certificate.window)
        found = spelled(time or at) + (f", exact to {accuracy.total_seconds():g} s" if accuracy else "")
        need(valid, Code.X509_VALIDITY, f"{certificate.subject} is not valid then", found=found, wanted=certificate.window)
    check_revocation(envelope.chain, store.crls, at=at, signed=time)
    return Proof(envelope.chain[0].subject, anchor.subject, anchor.fingerprint, time, by)


def check_payload(envelope: SignatureEnvelope, descriptor: Descriptor) -> Mapping[str, str]:
    """What was signed is the manifest of this ``descriptor``. For envelopes whose signature was verified. Gives its annotations.

    Raises TrustError (``payload.descriptor``) and FormatError (``payload.malformed``).
    """
    with translated(FormatError, to=FormatError, what="a signed payload is not well-formed", code=Code.PAYLOAD_MALFORMED):
        match strictjson.loads(envelope.payload, limit=MAX_ENVELOPE):
            case {"targetArtifact": target, **more} if not more:
                signed = Descriptor.from_json(target)
            case _:
                raise FormatError("a payload of the Notary Project holds a targetArtifact and nothing else")
    same = (signed.media_type, signed.digest, signed.size) == (descriptor.media_type, descriptor.digest, descriptor.size)
    found, wanted = (f"{d.media_type} {d.digest} of {d.size} bytes" for d in (signed, descriptor))
    need(same, Code.PAYLOAD_DESCRIPTOR, "a signed payload about another manifest", found=found, wanted=wanted)
    return signed.annotations


def _anchor(envelope: SignatureEnvelope, store: Store) -> Certificate:
    kind = StoreType.of(envelope.scheme)
    need(
        store.type is kind,
        Code.STORE_UNTRUSTED,
        "a signature of another scheme than the store is for",
        found=envelope.scheme,
        wanted=store.type,
    )
    anchor = next((c for c in envelope.chain if c in store.certificates), None)
    need(
        anchor is not None,
        Code.STORE_UNTRUSTED,
        f"no certificate of the chain lies in the store {store.name}",
        found=envelope.chain[-1].subject,
    )
    assert anchor is not None
    return anchor


def _time(envelope: SignatureEnvelope, tsa: Store | None, at: datetime) -> tuple[datetime | None, timedelta, str]:
    """When it was signed, if somebody vouches for that, how accurately, and who."""
    if envelope.scheme is Scheme.SIGNING_AUTHORITY:
        return envelope.signing_time, _NO_TIME, f"the signing authority {envelope.chain[-1].subject}"
    if tsa is None:
        return None, _NO_TIME, "nobody: judged by the station's clock"
    need(
        envelope.timestamp is not None,
        Code.TIMESTAMP_MISSING,
        "a signature without timestamp",
        wanted=f"one by an authority of the store {tsa.name}",
    )
    assert envelope.timestamp is not None
    stamp = TimestampToken.parse(envelope.timestamp).verified((envelope.signature,), tsa.authorities, chains=True)
    check_revocation(stamp.chain, tsa.crls, at=at, signed=None)
    return stamp.time, stamp.accuracy, stamp.authority.name


def _lies_within(time: datetime, accuracy: timedelta, window: Window) -> bool:
    """The whole span that ``time`` stands for."""
    assert window.start is not None
    assert window.end is not None
    return time - window.start >= accuracy and window.end - time >= accuracy
