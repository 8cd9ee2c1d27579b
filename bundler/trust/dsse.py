"""DSSE envelopes (secure-systems-lab/dsse, ``protocol.md`` and ``envelope.md``)."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError, translated
from bundler.trust.encodings import from_base64, to_base64
from bundler.trust.evidence import MAX_EVIDENCE
from bundler.trust.keys import Signed

MAX_SIGNATURES = 16  # a seal has one for each of its exporter's keys, everything else has one

_MEMBERS = frozenset({"payload", "payloadType", "signatures", "sig", "keyid"})
_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature of an envelope. Its keyid is a hint that nobody has signed."""

    sig: bytes
    keyid: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload of some type, and who signed it."""

    payload_type: str
    payload: bytes = field(repr=False)
    signatures: tuple[EnvelopeSignature, ...]
    """From 1 to MAX_SIGNATURES."""

    @classmethod
    def parse(cls, raw: bytes, *, limit: int = MAX_EVIDENCE) -> "Envelope":
        """From at most ``limit`` bytes of strict JSON. Raises FormatError (``dsse.malformed``, ``dsse.signature-count``)."""
        with _well_formed():
            value = strictjson.loads(raw, limit=limit)
        return cls.of(value)

    @classmethod
    def of(cls, value: Any) -> "Envelope":
        """From the value of its JSON; members that nobody here knows are passed over. Raises as :meth:`parse`."""
        match value:
            case {"payloadType": str(kind), "payload": payload, "signatures": [*signatures]}:
                if not 1 <= len(signatures) <= MAX_SIGNATURES:
                    raise FormatError(
                        "a DSSE envelope with another number of signatures than can be judged",
                        code=Code.DSSE_SIGNATURE_COUNT,
                        found=len(signatures),
                        wanted=f"1 to {MAX_SIGNATURES}",
                    )
                with _well_formed():
                    strictjson.check_names(value, _MEMBERS)
                    return cls(kind, _decoded(payload, "payload"), tuple(_signature(item) for item in signatures))
        raise FormatError("a DSSE envelope is not well-formed", code=Code.DSSE_MALFORMED, wanted="payloadType, payload, signatures")

    def to_json(self) -> dict[str, Any]:
        """Without keyids, which say nothing that anybody may rely on."""
        signatures = [{"sig": to_base64(signature.sig)} for signature in self.signatures]
        return {"payload": to_base64(self.payload), "payloadType": self.payload_type, "signatures": signatures}

    @property
    def signed(self) -> Signed:
        """What its signatures are over."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> Signed:
    """The pre-authentication encoding (``protocol.md``, "Signature Definition"); lengths are of bytes."""
    kind = payload_type.encode()
    return Signed(b"DSSEv1 %d %b %d " % (len(kind), kind, len(payload)), payload)


def _signature(value: Any) -> EnvelopeSignature:
    match value:
        case {"sig": sig, **rest}:
            keyid = rest.get("keyid")
            if keyid is None or isinstance(keyid, str):
                return EnvelopeSignature(_decoded(sig, "sig"), keyid or None)
    raise FormatError("a signature of an envelope is not well-formed", code=Code.DSSE_MALFORMED, wanted="sig and perhaps keyid")


def _decoded(text: Any, what: str) -> bytes:
    """DSSE takes the standard and the URL-safe alphabet; one text is in one of them."""
    if isinstance(text, str) and ("-" in text or "_" in text) and not ("+" in text or "/" in text):
        text = text.translate(_STANDARD)
    return from_base64(text, what=what)


def _well_formed() -> AbstractContextManager[None]:
    return translated(FormatError, to=FormatError, what="a DSSE envelope is not well-formed", code=Code.DSSE_MALFORMED)
