"""What a station says of one image that it has let in: a SLSA Verification Summary (docs/spec/receipt-v1.md, section 7)."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bundler import strictjson
from bundler.bundle.seal import time
from bundler.errors import BundlerError
from bundler.ledger.reading import Sign
from bundler.oci.digest import Digest
from bundler.trust.dsse import Envelope, pae
from bundler.trust.keys import PublicKey
from bundler.trust.statement import PAYLOAD_TYPE, TYPES

PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"
LEVELS = ("SLSA_BUILD_LEVEL_UNEVALUATED", "OCI_BUNDLER_SIGNATURES_VERIFIED")
"""That nobody has judged how the image was built, and that its signatures were."""
MAX_SUMMARY = 16 << 10  # bytes of an envelope: it follows from two names of 255 and two URIs of 1,000 characters

_SINCE = ("timeVerified", "verifier")
"""The members that may differ between two summaries that say the same: when it was made, and by which version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """That an image has passed. There is none of an image that has not."""

    verifier: str
    """``verifier.id``: the station, as a URI."""
    policy: str
    """``policy.uri``."""
    trust: Digest
    """Of the trust that judged."""
    version: str
    """Of this program."""
    time: datetime
    """When it was judged."""
    subject: Digest
    """The image's root."""
    repository: str
    """``REGISTRY/PATH``: a name that the image is pulled by, without its tag."""

    def predicate(self) -> dict[str, Any]:
        return {
            "verifier": {"id": self.verifier, "version": {"oci-bundler": self.version}},
            "timeVerified": time(self.time),
            "resourceUri": f"{self.repository}@{self.subject}",
            "policy": {"uri": self.policy, "digest": {self.trust.algorithm: self.trust.encoded}},
            "verificationResult": "PASSED",
            "verifiedLevels": list(LEVELS),
            "slsaVersion": "1.2",
        }

    def signed(self, sign: Sign) -> Envelope:
        """The statement, by whoever holds the station's key."""
        payload = strictjson.dumps(self._statement())
        return Envelope(PAYLOAD_TYPE, payload, sign(pae(PAYLOAD_TYPE, payload).whole))

    def is_said_by(self, envelope: Envelope, key: PublicKey) -> bool:
        """Whether ``key`` has signed the same, whenever that was and by whichever version."""
        with suppress(BundlerError):
            if envelope.payload_type == PAYLOAD_TYPE and len(envelope.payload) <= MAX_SUMMARY:
                key.verify(envelope.signature, envelope.signed)
                return bool(_lasting(strictjson.loads(envelope.payload, limit=MAX_SUMMARY)) == _lasting(self._statement()))
        return False

    def _statement(self) -> dict[str, Any]:
        return {
            "_type": TYPES[1],
            "subject": [{"name": self.repository, "digest": {self.subject.algorithm: self.subject.encoded}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": self.predicate(),
        }


def _lasting(statement: Any) -> Any:
    """A statement without what may differ."""
    match statement:
        case {"predicate": {"verifier": {"id": who}} as predicate}:
            kept = {name: value for name, value in predicate.items() if name not in _SINCE}
            return {**statement, "predicate": {**kept, "verifier": who}}
    return statement
