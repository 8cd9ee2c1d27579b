"""Signers who are known by a certificate of a subject, for which a store vouches: the kind ``notation``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bundler.errors import Code, TrustError
from bundler.trust.kind import Files, Introduced, Kind, Known, called, usable
from bundler.trust.notation.signature import NotationSignature
from bundler.trust.notation.steps import prove
from bundler.trust.notation.store import STORES, Store, StoreType
from bundler.trust.notation.subject import Subject
from bundler.trust.signer import AnotherSignerError, SignerProof
from bundler.trust.table import Table
from bundler.trust.unverified import UnverifiedSignature
from bundler.trust.window import spelled

_NAMES = {"store", "subject", "tsa", "name"}


@dataclass(frozen=True, slots=True)
class PinnedSubject:
    """A signer who is known by a certificate of a subject, for which a store vouches."""

    store: Store
    subject: Subject
    tsa: Store | None = None
    """By whose authorities a timestamp is needed; without, the station's clock says whether certificates are valid."""
    kind: str = "notation"
    name: str | None = field(default=None, compare=False)

    def prove(self, offer: UnverifiedSignature, *, at: datetime) -> SignerProof:
        """As :class:`SignerEntry` has it, with the codes of ``store.…``, ``x509.…``, ``tsa.…``, ``revocation.…`` and ``expiry.…``."""
        if not isinstance(offer, NotationSignature):
            raise TrustError("a signature of another form, where a Notation store is pinned", code=Code.BUNDLE_MATERIAL, found=offer.form)
        envelope = offer.envelope
        try:
            proof = prove(envelope, self.store, self.subject, tsa=self.tsa, at=at)
        except TrustError as error:
            if error.code is not Code.IDENTITY_SUBJECT:
                raise
            # A store vouches for the certificate; whether it was valid then, and is not revoked, was not asked any more.
            raise AnotherSignerError(error, f"{envelope.chain[0].subject} (store {self.store.name})", proved=False) from error
        when = (
            f"proved {spelled(proof.time)} by {proof.by}"
            if proof.time
            else f"claimed {spelled(envelope.signing_time)}, which nobody vouches for"
        )
        beside = ((Code.TIMESTAMP_NOT_CHECKED, "timestamp that the signer entry asks no authority for"),)
        by = f"{envelope.algorithm.name} by {proof.subject}"
        under = f"{when}, under the store {self.store.name} ({proof.anchor})"
        not_checked = beside if envelope.timestamp and self.tsa is None else ()
        # A name is one only under whoever gave it: two stores may know two people by one.
        who = frozenset({f"{proof.subject} under {proof.anchor_key}", envelope.chain[0].fingerprint})
        times = (proof.time,) if proof.time else ()
        return SignerProof(f"{proof.subject} (store {self.store.name})", by, None, not_checked, who, under, times)

    @property
    def key(self) -> None:
        """None: a store vouches for whatever key the certificate has."""

    def is_named_by(self, hint: str) -> bool:  # noqa: ARG002 - hints are of keys
        return False

    def behind(self, files: Files) -> Iterator[bytes]:
        for store in filter(None, (self.store, self.tsa)):
            yield from (files[path] for path in store.files)

    def __str__(self) -> str:
        return _known_by(str(self.subject), self.store.name, self.tsa.name if self.tsa else None)


def _known_by(subject: str, store: str, tsa: str | None) -> str:
    """What tells such a signer from every other, by the names that trust gives subject and stores."""
    return f"{subject} (store {store}{f', timestamps by {tsa}' if tsa else ''})"


def _parse(table: Table, known: Known) -> PinnedSubject:
    table.check_names(_NAMES)
    store = _store(table, known, "store", StoreType.CA, StoreType.SIGNING_AUTHORITY)
    tsa = _store(table, known, "tsa", StoreType.TSA) if "tsa" in table.members else None
    if tsa is not None and store.type is not StoreType.CA:
        raise table.error("tsa", found=tsa.name, wanted="none beside signing authorities, whose word on the time is taken")
    with usable(f"subject of {table.what}"):
        return PinnedSubject(store, Subject.parse(table.text("subject")), tsa, name=called(table))


def _store(table: Table, known: Known, member: str, *types: StoreType) -> Store:
    store = known.anchor(table, member, STORES)
    if store.type not in types:
        raise table.error(member, found=f"{store.name}, of type {store.type}", wanted=f"a store of type {' or '.join(types)}")
    return store


def _introduce(signer: Mapping[str, Any]) -> Introduced | None:
    if "subject" not in signer:
        return None
    return _known_by(signer["subject"], signer["store"], signer.get("tsa")), Subject.parse(signer["subject"]).common_name


KIND = Kind(
    "notation",
    "store",
    _parse,
    unnamed="signed with a certificate that the rule does not accept",
    section=STORES,
    introduce=_introduce,
)
