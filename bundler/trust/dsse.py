"""DSSE envelopes (secure-systems-lab/dsse, ``protocol.md`` and ``envelope.md``) with one signature."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError, translated
from bundler.trust.encodings import from_wrapped_base64, to_base64
from bundler.trust.evidence import MAX_EVIDENCE
from bundler.trust.keys import Signed
from bundler.trust.need import need
from bundler.trust.once import once

_OF_A_SIGNATURE = frozenset({"sig", "keyid"})
_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload of some type, and a signature over both."""

    payload_type: str
    payload: bytes = field(repr=False)
    signature: bytes
    keyid: str | None = None
    """A hint that nobody has signed."""
    wrapped: bool = field(default=False, compare=False)
    """Whether there are line ends in its base64, which is not what is signed."""
    signed: Signed = field(init=False, repr=False, compare=False)
    """What its signature is over."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "signed", pae(self.payload_type, self.payload))  # one, which hashes large payloads once

    @classmethod
    def parse(cls, raw: bytes) -> "Envelope":
        """From at most MAX_EVIDENCE bytes of strict JSON. Raises as :meth:`of`."""
        return _parsed(raw)

    @classmethod
    def of(cls, value: Any) -> "Envelope":
        """From the value of its JSON; members that nobody here knows are passed over.

        Raises FormatError (``dsse.malformed``) and TrustError (``dsse.signature-count``): of several signatures nobody
        has said how many must verify.
        """
        match value:
            case {"payloadType": str(kind), "payload": payload, "signatures": [*signatures]}:
                found = f"{len(signatures)} signatures"
                need(len(signatures) == 1, Code.DSSE_SIGNATURE_COUNT, "an envelope that cannot be judged", found=found, wanted="one")
                with _well_formed():
                    data, wrapped = _decoded(payload, "payload")
                    signature, keyid, sig_wrapped = _signature(signatures[0])
                    return cls(kind, data, signature, keyid, wrapped or sig_wrapped)
        raise _malformed("payloadType, payload and signatures")

    def to_json(self) -> dict[str, Any]:
        """The value of its JSON, without the keyid, which is nothing that anybody may rely on."""
        return {"payload": to_base64(self.payload), "payloadType": self.payload_type, "signatures": [{"sig": to_base64(self.signature)}]}


@once
def _parsed(raw: bytes) -> Envelope:
    with _well_formed():
        value = strictjson.loads(raw, limit=MAX_EVIDENCE)
    return Envelope.of(value)


def pae(payload_type: str, payload: bytes) -> Signed:
    """The pre-authentication encoding (``protocol.md``, "Signature Definition"); lengths are of bytes."""
    kind = payload_type.encode()
    return Signed(b"DSSEv1 %d %b %d " % (len(kind), kind, len(payload)), payload)


def _signature(value: Any) -> tuple[bytes, str | None, bool]:
    match value:
        case {"sig": sig, **rest} if isinstance(keyid := rest.get("keyid"), str | None):
            strictjson.check_names(value, _OF_A_SIGNATURE)
            signature, wrapped = _decoded(sig, "sig")
            return signature, keyid or None, wrapped
    raise _malformed("sig and perhaps keyid")


def _decoded(text: Any, what: str) -> tuple[bytes, bool]:
    """DSSE takes the standard and the URL-safe alphabet; one text is in one of them. And whether it is wrapped."""
    if isinstance(text, str) and "+" not in text and "/" not in text:
        text = text.translate(_STANDARD)
    return from_wrapped_base64(text, what=what)


def _well_formed() -> AbstractContextManager[None]:
    return translated(FormatError, to=FormatError, what="a DSSE envelope is not well-formed", code=Code.DSSE_MALFORMED)


def _malformed(wanted: str) -> FormatError:
    return FormatError("a DSSE envelope is not well-formed", code=Code.DSSE_MALFORMED, wanted=wanted)
