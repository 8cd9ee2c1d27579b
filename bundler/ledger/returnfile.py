"""Return files: what a station tells the exporter that it has accepted, refused and holds (docs/spec/return-v1.md).

The time is an argument, and so is who signs.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from bundler import strictjson
from bundler.bundle.seal import STREAM, time
from bundler.content.files import read_small
from bundler.errors import BundlerError, Code, FormatError, TrustError, translated
from bundler.ledger.journal.checking import checkpoint_of
from bundler.ledger.reading import Held, Sign, digest_of, each, envelope_of, held_of, maybe, number_of, spelt, text_of, time_of
from bundler.oci.descriptor import MAX_SIZE
from bundler.oci.digest import Digest
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.dsse import Envelope, pae
from bundler.trust.keys import PublicKey

FORMAT = 1
PAYLOAD_TYPE = "application/vnd.oci-bundler.return.v1+json"
MAX_PAYLOAD = 32 << 20  # bytes: a quarter of a million blobs
MAX_RETURN = 48 << 20  # bytes of the envelope, in base64
MAX_REFUSED = 100  # the last ones: who reads more has the journal
MAX_NAME = 255  # characters of a station's name, as a seal has it

_CODE = re.compile(r"[a-z0-9-]{1,40}(?:\.[a-z0-9-]{1,40})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The last bundle of a stream that was accepted."""

    sequence: int
    identity: Digest
    created: datetime
    """As its seal says."""
    accepted: datetime
    """By the station's clock."""

    def to_json(self) -> dict[str, Any]:
        times = {"created": time(self.created), "accepted": time(self.accepted)}
        return {"sequence": self.sequence, "identity": str(self.identity)} | times


@dataclass(frozen=True, slots=True)
class Refused:
    """A bundle that was refused."""

    identity: Digest | None
    """None where nobody that is trusted had sealed it."""
    codes: tuple[str, ...]
    time: datetime

    def to_json(self) -> dict[str, Any]:
        identity = None if self.identity is None else str(self.identity)
        return {"identity": identity, "codes": list(self.codes), "time": time(self.time)}


@dataclass(frozen=True, slots=True)
class TrustJudged:
    """The trust that judged last."""

    digest: Digest
    serial: int

    def to_json(self) -> dict[str, Any]:
        return {"digest": str(self.digest), "serial": self.serial}


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What a station tells. To make one that the format does not allow raises FormatError (``format.return``)."""

    station: str
    time: datetime
    checkpoint: str | None = None
    """The journal's last one, as it is signed; None where the journal is empty."""
    streams: Mapping[str, Accepted] = field(default_factory=dict)
    refused: tuple[Refused, ...] = ()
    """The last ones, oldest first, at most :data:`MAX_REFUSED`."""
    trust: TrustJudged | None = None
    held: Mapping[str, tuple[Held, ...]] = field(default_factory=dict, repr=False)
    """The blobs that each repository, ``REGISTRY/PATH``, has as of the last import into it; sorted by digest, each once."""

    def __post_init__(self) -> None:
        if not 0 < len(self.station) <= MAX_NAME or self.checkpoint == "":
            raise _refused("the station's name or the checkpoint is empty, or the name is too long")
        if len(self.refused) > MAX_REFUSED:
            raise _refused("it has too many refusals", found=len(self.refused), wanted=f"at most {MAX_REFUSED}")
        numbers = [*(each.sequence for each in self.streams.values()), *([self.trust.serial] if self.trust else [])]
        numbers += [blob.size for blobs in self.held.values() for blob in blobs]
        if not all(0 <= number <= MAX_SIZE for number in numbers):
            raise _refused("a number is out of its range", wanted="0 to 2^53 - 1")
        if not all(STREAM.fullmatch(name) for name in self.streams):
            raise _refused("a stream has a name that no seal has")
        if not all(_CODE.fullmatch(code) for each in self.refused for code in each.codes):
            raise _refused("a reason code is not well-formed")
        for repository, blobs in self.held.items():
            if "/" not in repository or any(first.digest >= second.digest for first, second in pairwise(blobs)):
                raise _refused("what a repository holds is not sorted, or there twice", found=ascii(repository)[:80])

    def payload(self) -> bytes:
        """What is signed, at most :data:`MAX_PAYLOAD` bytes. Raises FormatError (``format.return``)."""
        raw = strictjson.dumps(self.to_json())
        if len(raw) > MAX_PAYLOAD:
            raise _refused("it would be too long", found=f"{len(raw)} bytes", wanted=f"at most {MAX_PAYLOAD}")
        return raw

    def to_json(self) -> dict[str, Any]:
        """The payload as the value of its JSON (section 2)."""
        return {
            "format": FORMAT,
            "station": self.station,
            "time": time(self.time),
            "checkpoint": self.checkpoint,
            "streams": {name: accepted.to_json() for name, accepted in self.streams.items()},
            "refused": [each.to_json() for each in self.refused],
            "trust": None if self.trust is None else self.trust.to_json(),
            "held": {repository: [blob.to_json() for blob in blobs] for repository, blobs in self.held.items()},
        }

    def signed(self, sign: Sign) -> bytes:
        """The file. Raises FormatError (``format.return``)."""
        payload = self.payload()
        return spelt(Envelope(PAYLOAD_TYPE, payload, sign(pae(PAYLOAD_TYPE, payload).whole)))


def opened(raw: bytes, keys: Sequence[PublicKey]) -> Return:
    """The return file, if one of the ``keys`` has signed it. Nothing of it is read before that.

    Raises FormatError (``format.return``), TrustError (``receipt.signature``).
    """
    envelope = _envelope(raw)
    for key in keys:
        try:
            key.verify(envelope.signature, envelope.signed)
        except BundlerError:  # each key says no in its own words
            continue
        return _read(envelope.payload)
    raise TrustError(
        "the return file is not signed by this station",
        code=Code.RECEIPT_SIGNATURE,
        wanted=f"a signature by {' or '.join(map(str, keys))}",
        next="take the public key from the station itself; if it is the right one, the file was changed or is another station's",
    )


def is_return_file(raw: bytes) -> bool:
    """Whether an envelope, which may be a receipt's as well, says that it is a return file's; its type stands at its end."""
    return PAYLOAD_TYPE.encode() in raw[-4096:]


def unverified(raw: bytes) -> Return:
    """What a file claims, whoever has made it. Raises FormatError (``format.return``)."""
    return _read(_envelope(raw).payload)


def checkpoint_in(path: Path) -> Checkpoint:
    """The checkpoint of a journal that a file is, or that a return file holds; nobody has vouched for it yet.

    Raises UsageError (``usage.input``), TrustError (``checkpoint.malformed``), FormatError (``format.return``, ``format.base64``).
    """
    raw = read_small(path, limit=MAX_RETURN, what="the checkpoint or return file")
    if not raw.startswith(b"{"):
        return checkpoint_of(raw, path)
    told = unverified(raw)
    if told.checkpoint is None:
        raise _refused("it has no checkpoint: there was no journal when it was written", found=str(path))
    return Checkpoint.parse(told.checkpoint)


def _envelope(raw: bytes) -> Envelope:
    return envelope_of(raw, kind=PAYLOAD_TYPE, limit=MAX_RETURN, what="a return file", code=Code.FORMAT_RETURN)


def _read(payload: bytes) -> Return:
    with translated(BundlerError, to=FormatError, what="the return file is not well-formed", code=Code.FORMAT_RETURN):
        told = _return(strictjson.loads(payload, limit=MAX_PAYLOAD))
    if strictjson.dumps(told.to_json()) != payload:
        raise _refused("it has more members, or is not written as canonical JSON")
    return told


def _return(value: Any) -> Return:
    match value:
        case {"station": station, "time": at, "streams": dict(streams), "refused": refused, "trust": trust, "held": dict(held)}:
            return Return(
                station=text_of(station),
                time=time_of(at),
                checkpoint=maybe(text_of, value.get("checkpoint")),
                streams={name: _accepted(accepted) for name, accepted in streams.items()},
                refused=each(_refusal, refused),
                trust=maybe(_trust, trust),
                held={name: each(held_of, blobs) for name, blobs in held.items()},
            )
    raise _refused("members are missing, or of another type")


def _accepted(value: Any) -> Accepted:
    match value:
        case {"sequence": sequence, "identity": identity, "created": created, "accepted": accepted}:
            return Accepted(number_of(sequence), digest_of(identity), time_of(created), time_of(accepted))
    raise _refused("a stream lacks members", found=ascii(value)[:160])


def _refusal(value: Any) -> Refused:
    match value:
        case {"identity": identity, "codes": codes, "time": at}:
            return Refused(maybe(digest_of, identity), each(text_of, codes), time_of(at))
    raise _refused("a refusal lacks members", found=ascii(value)[:160])


def _trust(value: Any) -> TrustJudged:
    match value:
        case {"digest": digest, "serial": serial}:
            return TrustJudged(digest_of(digest), number_of(serial))
    raise _refused("trust lacks members", found=ascii(value)[:160])


def _refused(what: str, *, found: object = None, wanted: object = None) -> FormatError:
    return FormatError(f"the return file is not well-formed: {what}", code=Code.FORMAT_RETURN, found=found, wanted=wanted)
