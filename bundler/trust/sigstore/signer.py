"""Signers who are known under a trusted root: the kind ``identity``, and keys beside which a log is asked for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from bundler.errors import Code, FormatError, TrustError
from bundler.trust.keys import PublicKey
from bundler.trust.kind import Files, Kind, Known, called
from bundler.trust.need import need
from bundler.trust.pattern import compiled
from bundler.trust.signer import AnotherSignerError, SignerProof
from bundler.trust.sigstore.anchor import ROOTS, Root
from bundler.trust.sigstore.identity import CLAIMS, Identity
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.steps import Proof, Thresholds, certificate_of, prove_by_certificate, prove_by_key
from bundler.trust.table import Table
from bundler.trust.unverified import UnverifiedSignature

_NAMES = {"issuer", "identity", "identity_regexp", "root", "claims", "name"}
_NOBODY = ("", "somebody@anywhere.invalid", "https://anywhere.invalid/anything")
"""No identity, and two that nobody can have (RFC 2606): who takes one of these takes everybody."""


@dataclass(frozen=True, slots=True)
class PinnedIdentity:
    """A signer who is known by what an OIDC issuer says of it in a certificate."""

    root: Root
    issuer: str
    identity: str | None
    """The whole name, as it stands in the certificate."""
    pattern: re.Pattern[str] | None = None
    """Or what the whole name must match."""
    claims: tuple[tuple[str, str], ...] = ()
    """What else the certificate must say, by the names of ``identity.CLAIMS``."""
    kind: str = "identity"
    name: str | None = field(default=None, compare=False)

    def prove(self, offer: UnverifiedSignature, *, at: datetime) -> SignerProof:  # noqa: ARG002 - verified times decide, never the clock
        """As :class:`SignerEntry` has it, with the codes of ``identity.…``, ``x509.…``, ``tlog.…``, ``tsa.…`` and ``time.…``."""
        item = Item.of(offer)
        # First who, then what: a name that nobody vouches for is not matched with anything.
        proof = prove_by_certificate(item, self.root.trusted, self.root.needed)
        assert proof.identity is not None
        try:
            self._check(proof.identity)
        except TrustError as error:
            raise AnotherSignerError(error, str(proof.identity), proved=True) from error
        also = frozenset({certificate_of(item).fingerprint})
        by = f"{proof.match.algorithm} by {proof.identity}"
        return SignerProof(str(proof.identity), by, proof.match.remark, _beside(proof), also, _under(proof, self.root), _times(proof))

    def _check(self, identity: Identity) -> None:
        need(identity.issuer == self.issuer, Code.IDENTITY_ISSUER, "a certificate by another issuer", found=identity, wanted=self)
        names = any(self._is_named(name) for name in identity.names)
        need(names, Code.IDENTITY_SAN, "a certificate for another identity", found=identity, wanted=self)
        for claim, value in self.claims:
            found = identity.claims.get(claim)
            need(found == value, Code.IDENTITY_CLAIM, f"a certificate that says something else of {claim}", found=found, wanted=value)

    def _is_named(self, name: str) -> bool:
        return name == self.identity if self.pattern is None else self.pattern.fullmatch(name) is not None

    @property
    def key(self) -> None:
        """None: certificates are of keys that are new each time."""

    def is_named_by(self, hint: str) -> bool:  # noqa: ARG002 - hints are of keys
        return False

    def behind(self, files: Files) -> Iterator[bytes]:
        yield files[self.root.file]

    def __str__(self) -> str:
        name = self.identity if self.pattern is None else f"/{self.pattern.pattern}/"
        claims = "".join(f", {claim} {value}" for claim, value in self.claims)
        return f"{name} (issuer {self.issuer}, root {self.root.name}{claims})"


@dataclass(frozen=True, slots=True)
class LoggedKey:
    """A signer who is known by a public key, beside which logs and authorities of a root are asked for."""

    key: PublicKey
    root: Root
    needed: Thresholds
    kind: str = "key"
    name: str | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, key: PublicKey, table: Table, known: Known) -> "LoggedKey":
        """From a signer's table with ``key`` and ``root``."""
        root = known.anchor(table, "root", ROOTS)
        log = table.whole("log", 0, len(root.trusted.logs), default=root.needed.log)
        return cls(key, root, Thresholds(log=log, timestamp=root.needed.timestamp, sct=0), name=called(table))

    def prove(self, offer: UnverifiedSignature, *, at: datetime) -> SignerProof:
        """As :class:`SignerEntry` has it, with the codes of ``tlog.…``, ``tsa.…`` and ``time.…``.

        A log that proves no time counts by the key that it has ``at``, where nothing else proves one.
        """
        proof = prove_by_key(Item.of(offer, by_key=True), self.key, self.root.trusted, self.needed, at=at)
        certificates = offer.material.certificates
        beside = ((Code.CERTIFICATE_NOT_CHECKED, "certificate beside a signature by a pinned key"),) if certificates else ()
        not_checked = (*_beside(proof), *beside)
        also = frozenset({self.key.fingerprint})
        by = f"{proof.match.algorithm} by {self.key}"
        return SignerProof(self.key.fingerprint, by, proof.match.remark, not_checked, also, _under(proof, self.root), _times(proof))

    def is_named_by(self, hint: str) -> bool:
        return self.key.is_named_by(hint)

    def behind(self, files: Files) -> Iterator[bytes]:
        yield self.key.pem
        yield files[self.root.file]

    def __str__(self) -> str:
        return self.key.fingerprint


def _under(proof: Proof, root: Root) -> str:
    times = " and ".join(map(str, proof.times))
    seen = f"proved {times}, " if times else ""
    logged = f"logged in {' and '.join(proof.logs)}, " if proof.logs else ""
    return f"{seen}{logged}under the root {root.name}"


def _times(proof: Proof) -> tuple[datetime, ...]:
    return tuple(proved.time for proved in proof.times)


def _beside(proof: Proof) -> tuple[tuple[Code, str], ...]:
    return tuple((remark.code, remark.detail) for remark in proof.remarks)


def _parse(table: Table, known: Known) -> PinnedIdentity:
    table.check_names(_NAMES)
    exact = "identity" in table.members
    if exact == ("identity_regexp" in table.members):
        raise table.error("identity", found="both or neither", wanted="identity, or identity_regexp, which matches the whole")
    claims = table.table("claims")
    claims.check_names(set(CLAIMS.values()))
    return PinnedIdentity(
        root=known.anchor(table, "root", ROOTS),
        issuer=table.text("issuer"),
        identity=table.text("identity") if exact else None,
        pattern=None if exact else _pattern(table),
        claims=tuple((name, claims.text(name)) for name in claims.members),
        name=called(table),
    )


def _pattern(table: Table) -> re.Pattern[str]:
    text = table.text("identity_regexp")
    try:
        pattern = compiled(text)
    except FormatError as error:
        raise table.error("identity_regexp", found=f"{text[:80]}: {error}", wanted="a regular expression of bounded cost") from error
    if any(pattern.fullmatch(nobody) for nobody in _NOBODY):
        raise table.error("identity_regexp", found=text, wanted="one that does not match anybody")
    return pattern


KIND = Kind(
    "identity",
    None,
    _parse,
    unnamed="signed with a certificate that the rule does not accept",
    section=ROOTS,
)
