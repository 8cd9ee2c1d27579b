"""Signers who are known by a public key: the kind ``key``."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from bundler.errors import Code
from bundler.trust.keys import PublicKey
from bundler.trust.kind import Files, Kind, Known, called
from bundler.trust.need import need
from bundler.trust.signer import SignerEntry, SignerProof
from bundler.trust.sigstore.signer import LoggedKey
from bundler.trust.table import Table
from bundler.trust.unverified import Material, UnverifiedSignature


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A signer who is known by a public key. Log entries, timestamps and certificates are not asked for."""

    key: PublicKey
    kind: str = "key"
    name: str | None = field(default=None, compare=False)

    def prove(self, offer: UnverifiedSignature, *, at: datetime) -> SignerProof:  # noqa: ARG002 - a pinned key is good until trust is changed
        need(offer.material.by_key, Code.BUNDLE_MATERIAL, "a signature with a certificate, where a key is pinned", wanted=self.key)
        match = self.key.verify(offer.signature, offer.signed)
        also = frozenset({self.key.fingerprint})
        return SignerProof(self.key.fingerprint, f"{match.algorithm} by {self.key}", match.remark, _unasked(offer.material), also)

    def is_named_by(self, hint: str) -> bool:
        return self.key.is_named_by(hint)

    def behind(self, files: Files) -> Iterator[bytes]:  # noqa: ARG002 - the key itself says it all
        yield self.key.pem

    def __str__(self) -> str:
        return self.key.fingerprint


def _unasked(material: Material) -> tuple[tuple[Code, str], ...]:
    beside = (
        (Code.TLOG_NOT_CHECKED, "log entry", material.log_entries),
        (Code.TIMESTAMP_NOT_CHECKED, "timestamp", material.timestamps),
        (Code.CERTIFICATE_NOT_CHECKED, "certificate", material.certificates),
    )
    return tuple((code, f"{name} beside a signature by a pinned key") for code, name, found in beside if found)


def _parse(table: Table, known: Known) -> SignerEntry:
    logged = "root" in table.members
    table.check_names({"key", "name", "root", "log"} if logged else {"key", "name"})
    key = known.keys.load(table.text("key"), role="image")
    return LoggedKey.parse(key, table, known) if logged else PinnedKey(key, name=called(table))


KIND = Kind(
    "key",
    "key",
    _parse,
    unnamed="signed by a key that the rule does not name, or altered since",
    tells_who=False,
    keys=("key",),
)
