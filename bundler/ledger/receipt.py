"""Receipts: what a station did with a bundle, signed by it (docs/spec/receipt-v1.md).

Pure: the time is an argument, and so is who signs. No receipt contradicts itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

from bundler import strictjson
from bundler.bundle.seal import MAX_IMAGES, STREAM, time
from bundler.errors import BundlerError, Code, FormatError, TrustError, shortened, translated
from bundler.ledger.reading import (
    Held,
    Sign,
    digest_of,
    each,
    envelope_of,
    held_of,
    maybe,
    number_of,
    reference_of,
    spelt,
    text_of,
    time_of,
)
from bundler.oci.descriptor import MAX_SIZE
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.trust.dsse import Envelope, pae
from bundler.trust.keys import PublicKey
from bundler.trust.statement import PAYLOAD_TYPE

FORMAT = 1
PREDICATE_TYPE = "urn:oci-bundler:receipt:v1"
MAX_RECEIPT = 64 << 20  # bytes of an envelope: 10,000 images of five blobs each take 13 MiB
MAX_TEXT = 8192  # characters of a name or a scope: of an identity, two foreign names of 2 KiB, and what escapes make of them

_STATEMENT = "https://in-toto.io/Statement/v1"
_CODE = re.compile(r"[a-z0-9-]{1,40}(?:\.[a-z0-9-]{1,40})?", re.ASCII)


class Subject(StrEnum):
    """What a receipt can be about, in the order in which it says so."""

    INDEX = "index.json"
    SEAL = "seal.json"
    FILE = "bundle"


class Outcome(StrEnum):
    """What became of the bundle."""

    ACCEPTED = "accepted"
    REPEAT = "repeat"
    PARTLY = "partly"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """What a bundle that a trusted key has sealed says of itself."""

    identity: Digest
    stream: str
    sequence: int
    previous: Digest | None
    created: datetime
    expires: datetime | None
    gap: bool | None = False
    """Whether bundles before it are missing; None where it does not say which one it follows, or order was not judged."""

    def to_json(self) -> dict[str, Any]:
        return {
            "identity": str(self.identity),
            "stream": self.stream,
            "sequence": self.sequence,
            "previous": _spelled(self.previous),
            "created": time(self.created),
            "expires": None if self.expires is None else time(self.expires),
            "gap": self.gap,
        }


@dataclass(frozen=True, slots=True, order=True)
class SignerRecord:
    """Somebody who has signed an image, and counts by its rule."""

    kind: str
    id: str
    form: str
    name: str | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "id": self.id, "form": self.form, "name": self.name}


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What the station found out about one image, and what it did with it."""

    reference: Reference
    digest: Digest
    destination: Reference | None
    """The name that it has in the registry; None where it was not let in."""
    state: str | None
    """What that changed there: ``new``, ``moved`` or ``same``."""
    rule: str | None
    signers: tuple[SignerRecord, ...] = ()
    times: tuple[datetime, ...] = ()
    """The verified times of their signatures."""
    reasons: tuple[str, ...] = ()
    """Why it did not pass; empty exactly if it did."""

    @property
    def passed(self) -> bool:
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": str(self.reference),
            "digest": str(self.digest),
            "destination": None if self.destination is None else str(self.destination),
            "state": self.state,
            "passed": self.passed,
            "rule": self.rule,
            "signers": [signer.to_json() for signer in self.signers],
            "times": list(map(time, self.times)),
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class BlobRecord:
    """What was sent of the blobs, what was there, and what is not carried."""

    sent: int = 0
    there: int = 0
    bytes: int = 0
    """Of those that were sent."""
    left: tuple[Digest, ...] = ()
    """Foreign layers that the seal says are not carried."""

    def to_json(self) -> dict[str, Any]:
        return {"sent": self.sent, "there": self.there, "bytes": self.bytes, "left": list(map(str, self.left))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The statement. To make one that contradicts itself raises FormatError (``format.receipt``)."""

    station: str
    time: datetime
    floor: datetime | None = None
    version: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    """Why nothing was let in; empty exactly if something was."""
    subjects: Mapping[Subject, Digest]
    bundle: BundleRecord | None = None
    trust: Digest
    serial: int
    registry: str | None = None
    """``REGISTRY[/PREFIX]``; None exactly if nothing was let in."""
    images: tuple[ImageRecord, ...] = field(default=(), repr=False)
    blobs: BlobRecord = field(default=BlobRecord(), repr=False)
    held: Mapping[str, tuple[Held, ...]] = field(default_factory=dict, repr=False)
    """The blobs of images that each repository, ``REGISTRY/PATH``, had when the import ended; sorted, each once."""
    previous: Digest | None = None
    """The digest of the receipt before it in the journal."""

    def __post_init__(self) -> None:
        _check_fields(self)
        _check_outcome(self)
        _check_images(self)
        _check_held(self)

    def statement(self) -> bytes:
        """The payload that is signed."""
        subjects = [
            {"digest": {digest.algorithm: digest.encoded}, "name": str(name)}
            for name in Subject
            if (digest := self.subjects.get(name)) is not None
        ]
        return strictjson.dumps({"_type": _STATEMENT, "subject": subjects, "predicateType": PREDICATE_TYPE, "predicate": self.predicate()})

    def predicate(self) -> dict[str, Any]:
        """The predicate as the value of its JSON (section 4)."""
        return {
            "format": FORMAT,
            "station": self.station,
            "time": time(self.time),
            "floor": None if self.floor is None else time(self.floor),
            "version": self.version,
            "outcome": str(self.outcome),
            "reasons": list(self.reasons),
            "bundle": None if self.bundle is None else self.bundle.to_json(),
            "trust": {"digest": str(self.trust), "serial": self.serial},
            "registry": self.registry,
            "images": [image.to_json() for image in self.images],
            "blobs": self.blobs.to_json(),
            "held": {repository: [blob.to_json() for blob in blobs] for repository, blobs in self.held.items()},
            "previous": _spelled(self.previous),
        }

    def signed(self, sign: Sign) -> bytes:
        """The envelope: what is kept, and what the journal has the digest of. Raises FormatError (``format.receipt``) if too long."""
        payload = self.statement()
        raw = spelt(Envelope(PAYLOAD_TYPE, payload, sign(pae(PAYLOAD_TYPE, payload).whole)))
        if len(raw) > MAX_RECEIPT:
            raise malformed("it would be too long", found=f"{len(raw)} bytes", wanted=f"at most {MAX_RECEIPT}")
        return raw


def opened(raw: bytes, key: PublicKey) -> Receipt:
    """The receipt in an envelope, if ``key`` has signed it. Nothing of it is read before that.

    Raises FormatError (``format.receipt``), TrustError (``receipt.signature``).
    """
    envelope = _envelope(raw)
    try:
        key.verify(envelope.signature, envelope.signed)
    except BundlerError as error:
        raise TrustError(
            "the receipt is not signed by this key",
            code=Code.RECEIPT_SIGNATURE,
            found=error.what,
            wanted=f"a signature by {key}",
            next="take the public key from the station itself; if it is the right one, the receipt was changed or is another station's",
        ) from error
    return _read(envelope.payload)


def unverified(raw: bytes) -> Receipt:
    """What an envelope claims, whoever has made it. Raises FormatError (``format.receipt``)."""
    return _read(_envelope(raw).payload)


# --- what cannot be true ---


def _check_fields(receipt: Receipt) -> None:
    for name, text in (("station", receipt.station), ("version", receipt.version), ("registry", receipt.registry)):
        if text is not None:
            _check_text(text, name)
    if not receipt.subjects or any(digest.algorithm != "sha256" for digest in receipt.subjects.values()):
        raise malformed("it has no subject, or one whose digest is not of SHA-256")
    numbers = (receipt.serial, receipt.blobs.sent, receipt.blobs.there, receipt.blobs.bytes)
    if not all(0 <= number <= MAX_SIZE for number in numbers):
        raise malformed("a number is out of its range", found=numbers, wanted="0 to 2^53 - 1")
    for code in (*receipt.reasons, *(code for image in receipt.images for code in image.reasons)):
        if not _CODE.fullmatch(code):
            raise malformed("a reason code is not well-formed", found=ascii(code)[:80])
    if receipt.bundle is not None and not (STREAM.fullmatch(receipt.bundle.stream) and 0 <= receipt.bundle.sequence <= MAX_SIZE):
        raise malformed("its bundle has a stream or a sequence that no seal has", found=ascii(receipt.bundle.stream)[:80])


def _check_outcome(receipt: Receipt) -> None:
    refused = receipt.outcome is Outcome.REFUSED
    if refused is not bool(receipt.reasons) or refused is not (receipt.registry is None):
        raise malformed("reasons and registry do not fit its outcome", found=receipt.outcome)
    if receipt.bundle is None and (not refused or receipt.images or receipt.blobs.left):
        raise malformed("it tells of a bundle that nobody has sealed")
    if receipt.bundle is not None and Code.SEAL_SIGNATURE in receipt.reasons:
        raise malformed("it quotes a seal that was not trusted", found=receipt.outcome)
    if (Subject.INDEX in receipt.subjects) is not (not refused and all(image.passed for image in receipt.images)):
        raise malformed("it is about index.json, and not every image was let in; or the other way round", found=receipt.outcome)
    if refused and (receipt.held or receipt.blobs.sent or receipt.blobs.there or receipt.blobs.bytes):
        raise malformed("it tells of blobs that were let in, and of a refusal")


def _check_images(receipt: Receipt) -> None:
    if len(receipt.images) > MAX_IMAGES:
        raise malformed("it has too many images", found=len(receipt.images), wanted=f"at most {MAX_IMAGES}")
    if len({image.reference for image in receipt.images}) != len(receipt.images):
        raise malformed("it has an image twice")
    for image in receipt.images:
        enters = image.passed and receipt.outcome is not Outcome.REFUSED
        if (image.destination is not None) is not enters or (image.state is not None) is not enters:
            raise malformed("an image has a destination and was not let in, or was let in and has none", found=image.reference)
        if image.state not in (None, "new", "moved", "same"):
            raise malformed("an image has a state that is not known", found=ascii(image.state)[:80])
        for name, text in (("rule", image.rule), *((s.kind, s.id) for s in image.signers), *(("name", s.name) for s in image.signers)):
            if text is not None:
                _check_text(text, name)
        if list(image.signers) != sorted(set(image.signers)) or list(image.times) != sorted(set(image.times)):
            raise malformed("signers or times of an image are not sorted, or there twice", found=image.reference)
    passed = [image.passed for image in receipt.images]
    wanted = {
        Outcome.ACCEPTED: bool(passed) and all(passed),
        Outcome.REPEAT: any(passed),  # of one that was let in partly, too
        Outcome.PARTLY: any(passed) and not all(passed),
        Outcome.REFUSED: True,
    }
    if not wanted[receipt.outcome]:
        raise malformed("its images do not fit its outcome", found=receipt.outcome)


def _check_held(receipt: Receipt) -> None:
    filled = {image.destination.repository for image in receipt.images if image.destination is not None}
    if not receipt.held.keys() <= filled:
        raise malformed("it tells of a repository that no image went to", found=ascii(min(receipt.held.keys() - filled))[:80])
    for repository, blobs in receipt.held.items():
        if any(first.digest >= second.digest for first, second in pairwise(blobs)):
            raise malformed("what a repository holds is not sorted, or there twice", found=repository)
        if not all(0 <= blob.size <= MAX_SIZE for blob in blobs):
            raise malformed("a blob has a size that is out of its range", found=repository)


def _check_text(text: str, what: str) -> None:
    if not 0 < len(text) <= MAX_TEXT:
        raise malformed(f"{what} is empty or too long", found=f"{len(text)} characters", wanted=f"1 to {MAX_TEXT}")


# --- reading ---


def _envelope(raw: bytes) -> Envelope:
    return envelope_of(raw, kind=PAYLOAD_TYPE, limit=MAX_RECEIPT, what="a receipt", code=Code.FORMAT_RECEIPT)


def _read(payload: bytes) -> Receipt:
    """Raises FormatError (``format.receipt``)."""
    with translated(FormatError, to=FormatError, what="the receipt is not well-formed", code=Code.FORMAT_RECEIPT):
        value = strictjson.loads(payload, limit=MAX_RECEIPT)
        receipt = _receipt(value)
    if receipt.statement() != payload:
        raise malformed("it has more members, or is not written as canonical JSON")
    return receipt


def _receipt(value: Any) -> Receipt:
    match value:
        case {"predicateType": str(other)} if other != PREDICATE_TYPE:
            raise malformed("its statement is of another type", found=ascii(other)[:80], wanted=PREDICATE_TYPE)
        case {
            "subject": [*subjects],
            "predicate": {
                "bundle": bundle,
                "trust": {"digest": trust, "serial": serial},
                "images": [*images],
                "blobs": {"sent": sent, "there": there, "bytes": size, "left": [*left]},
                "held": dict(held),
            } as predicate,
        }:
            pass  # whatever else there is, the one spelling has not
        case _:
            raise malformed("members are missing, or of another type")
    return Receipt(
        station=text_of(predicate.get("station")),
        time=time_of(predicate.get("time")),
        floor=maybe(time_of, predicate.get("floor")),
        version=text_of(predicate.get("version")),
        outcome=_outcome(predicate.get("outcome")),
        reasons=each(text_of, predicate.get("reasons")),
        subjects=dict(map(_subject, subjects)),
        bundle=maybe(_bundle, bundle),
        trust=digest_of(trust),
        serial=number_of(serial),
        registry=maybe(text_of, predicate.get("registry")),
        images=each(_image, images),
        blobs=BlobRecord(number_of(sent), number_of(there), number_of(size), each(digest_of, left)),
        held={text_of(repository): each(held_of, blobs) for repository, blobs in held.items()},
        previous=maybe(digest_of, predicate.get("previous")),
    )


def _subject(value: Any) -> tuple[Subject, Digest]:
    match value:
        case {"name": str(name), "digest": {"sha256": str(encoded)}} if name in list(Subject):
            return Subject(name), Digest("sha256", encoded)
    raise malformed("a subject is not one that a receipt has", found=ascii(value)[:160])


def _bundle(value: Any) -> BundleRecord:
    match value:
        case {"identity": identity, "stream": stream, "sequence": sequence, "gap": bool() | None as gap}:
            return BundleRecord(
                identity=digest_of(identity),
                stream=text_of(stream),
                sequence=number_of(sequence),
                previous=maybe(digest_of, value.get("previous")),
                created=time_of(value.get("created")),
                expires=maybe(time_of, value.get("expires")),
                gap=gap,
            )
    raise malformed("its bundle lacks members", found=ascii(value)[:160])


def _image(value: Any) -> ImageRecord:
    match value:
        case {"reference": reference, "digest": digest, "signers": signers, "times": times, "reasons": reasons}:
            return ImageRecord(
                reference=reference_of(reference),
                digest=digest_of(digest),
                destination=maybe(reference_of, value.get("destination")),
                state=maybe(text_of, value.get("state")),
                rule=maybe(text_of, value.get("rule")),
                signers=each(_signer, signers),
                times=each(time_of, times),
                reasons=each(text_of, reasons),
            )
    raise malformed("an image lacks members", found=ascii(value)[:160])


def _signer(value: Any) -> SignerRecord:
    match value:
        case {"kind": kind, "id": who, "form": form, "name": name}:
            return SignerRecord(text_of(kind), text_of(who), text_of(form), maybe(text_of, name))
    raise malformed("a signer lacks members", found=ascii(value)[:160])


def _outcome(value: Any) -> Outcome:
    if value not in list(Outcome):
        raise malformed("its outcome is not one that is known", found=ascii(value)[:80], wanted=", ".join(Outcome))
    return Outcome(value)


def _spelled(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


def written(text: str) -> str:
    """``text``, which may be foreign, as it may stand in a receipt: what nobody sees is escaped, and what is too long is shortened."""
    seen = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return seen if len(seen) <= MAX_TEXT else shortened(seen)


def malformed(what: str, *, found: object = None, wanted: object = None) -> FormatError:
    return FormatError(f"the receipt is not well-formed: {what}", code=Code.FORMAT_RECEIPT, found=found, wanted=wanted)
