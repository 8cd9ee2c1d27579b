"""Who vouches for an image and with what: by everybody that trust names, and else by what signatures say of themselves.

No verdict comes of it. Which of them count for an image, the station's rules say (``bundler.trust.judge``).
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from bundler.errors import FormatError, TrustError
from bundler.oci.digest import Digest
from bundler.stations.carried import Carried, Chunks
from bundler.trust.evidence import Evidence, Image
from bundler.trust.examine import effort, examine
from bundler.trust.formats import format_of
from bundler.trust.judge import MAX_REPEATED, MAX_VERIFICATIONS
from bundler.trust.keysigner import PinnedKey
from bundler.trust.policy import Node, Policy, RequiredAttestation, Rule
from bundler.trust.scope import Scope
from bundler.trust.signer import SignerEntry
from bundler.trust.sigstore.identity import Identity
from bundler.trust.statement import Statement
from bundler.trust.unverified import Layer, UnverifiedSignature
from bundler.trust.x509 import Certificate

EVERYTHING = Scope.parse("**")
_PEM = b"-----BEGIN"
NOBODY = Rule(EVERYTHING, (), 1, deny="nobody is asked for")


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a signature, as far as that is known."""

    kind: str
    """``key``, ``identity`` or ``notation``."""
    id: str | None
    """The fingerprint of a key, an identity with its issuer, the subject of a certificate; None where the signature does not say it."""
    proved: bool
    """Whether the signature was verified to be theirs. Else it only says so, as anybody's may."""
    name: str | None = field(default=None, compare=False)
    """What trust calls them; None unless it is proved."""

    @property
    def rank(self) -> tuple[bool, str, str]:
        """Sorts those who are proved first."""
        return not self.proved, self.kind, self.id or ""


@dataclass(frozen=True, slots=True)
class Piece:
    """Something said of an image that is not a signature of it: an SBOM, an attestation."""

    what: str
    """Its predicate type, else its media type. Foreign."""
    digest: Digest
    """Of the layer, or of the manifest that has none."""
    size: int
    by: frozenset[Maker] = frozenset()
    """Who signed it; empty where nobody did so by itself."""


class Vouching:
    """Looks at evidence with the eyes of one trust, or of none."""

    def __init__(self, policy: Policy | None, *, at: datetime) -> None:
        """``at`` is the time as of which signatures are verified that are worth something for a while only."""
        self._at = at
        self._signers = _everybody(policy) if policy else ()
        self._names = policy.names if policy else {}
        self._rule = lru_cache(maxsize=64)(self._rule_for)

    def of(self, carried: Carried, chunks: Chunks) -> tuple[frozenset[Maker], tuple[Piece, ...]]:
        """Who signed a manifest of the image, and what else was found about it.

        Of evidence that would take longer than a verdict may, what comes late is not verified: it only says whose it is.
        Raises what ``chunks`` raises.
        """
        image = Image(carried.reference, carried.root, dict(carried.documents))
        own = frozenset(carried.own)
        signers: set[Maker] = set()
        pieces: list[tuple[Digest, Piece]] = []
        signed: dict[Digest, set[Maker]] = {}  # evidence that is signed itself, as cosign signs what it attaches
        budget = _Budget()
        for each in carried.evidences(chunks):
            offer = _offer(each, image)
            what = _what(each, offer)
            rule = budget.allows(self._rule(what), image, each)
            makers = self._makers(rule, image, each, offer)
            if what is None:
                signed.setdefault(each.subject, set()).update(makers)
                signers.update(makers if each.subject in own else ())
            else:
                found = each.layer or each.document.descriptor
                pieces.append((each.document.digest, Piece(what, found.digest, found.size, frozenset(makers))))
        beside = [replace(piece, by=piece.by | signed.get(manifest, set())) for manifest, piece in pieces]
        return frozenset(signers), tuple(beside)

    def _rule_for(self, what: str | None) -> Rule:
        """Asks for a signature by anybody, or for an attestation of that type."""
        if not self._signers:
            return NOBODY
        wanted = () if what is None else (RequiredAttestation(what, Node.REFERENCE, self._signers),)
        return Rule(EVERYTHING, self._signers, 1, attestations=wanted)

    def _makers(self, rule: Rule, image: Image, piece: Evidence, offer: UnverifiedSignature | None) -> list[Maker]:
        """Whose it is proved to be, else whose it says that it is; nobody where it is not signed, or cannot be what it says."""
        finding = examine(rule, image, piece, at=self._at)
        by = [(fact.signed_by.kind, fact.signed_by.id, fact.signed_by.name) for fact in finding.facts]
        other = finding.other
        if not by and other is not None and other.proved and other.id is not None:
            by = [(other.kind, other.id, None)]
        if by or other is None:
            return [Maker(kind, who, proved=True, name=name or self._names.get(who)) for kind, who, name in dict.fromkeys(by)]
        who = other.id or _says(piece, offer)
        kind = other.kind if other.id or who is None else _kind(piece)
        return [Maker(kind, who, proved=False)]


class _Budget:
    """What looking at one image has taken so far, by the limits of a verdict."""

    def __init__(self) -> None:
        self._verifications, self._bytes = 0, 0

    def allows(self, rule: Rule, image: Image, piece: Evidence) -> Rule:
        cost = effort(rule, image, piece)
        self._verifications += cost.verifications
        self._bytes += sum(size for _, size in cost.read) * cost.verifications
        return NOBODY if self._verifications > MAX_VERIFICATIONS or self._bytes > MAX_REPEATED else rule


def _everybody(policy: Policy) -> tuple[SignerEntry, ...]:
    """All signers of all rules, each once, those with names before others; and the keys that seal, for they can sign images too."""
    entries = sorted((entry for rule in policy.rules for entry in rule.everybody), key=lambda entry: entry.name is None)
    known = {(type(entry), str(entry)): entry for entry in reversed(entries)}
    keys = {fingerprint for kind, fingerprint in known if kind is PinnedKey}
    sealing = [PinnedKey(key) for seal in policy.seals for key in seal.keys if key.fingerprint not in keys]
    return (*reversed(known.values()), *dict.fromkeys(sealing))


def _offer(piece: Evidence, image: Image) -> UnverifiedSignature | None:
    """The signature that it holds, if it holds one that can be read."""
    in_format, subject = format_of(piece), image.documents.get(piece.subject)
    if in_format is None or piece.layer is None or piece.payload is None or subject is None:
        return None
    with suppress(FormatError, TrustError):
        return in_format.read(Layer(piece.layer, piece.payload, piece.document, subject))
    return None


def _what(piece: Evidence, offer: UnverifiedSignature | None) -> str | None:
    """The predicate type of a statement, else the media type; None for a signature. Whether it was verified plays no part."""
    in_format = format_of(piece)
    with suppress(FormatError, TrustError):  # what it holds is not what it seems to be, so nobody has stated anything
        if offer is not None:
            return offer.claim().predicate_type
        if in_format is None and piece.payload is not None:
            return Statement.parse(piece.payload).predicate_type
    return _declared(piece) if in_format is None or in_format.attests else None


def _declared(piece: Evidence) -> str:
    content = piece.document.content
    own = piece.layer.media_type if piece.layer else content.kind
    return content.artifact_type or own or piece.document.descriptor.media_type


def _says(piece: Evidence, offer: UnverifiedSignature | None) -> str | None:
    """Whom the certificate beside a signature names. Nothing of it is verified."""
    if offer is None or not offer.material.certificates:
        return None
    with suppress(FormatError, TrustError):
        first = offer.material.certificates[0]
        leaf = Certificate.parse_pem(first)[0] if _PEM in first else Certificate.parse(first)
        return str(Identity.of(leaf)) if _kind(piece) == "identity" else leaf.subject
    return None


def _kind(piece: Evidence) -> str:
    """Of which kind its signer is where a certificate names him."""
    in_format = format_of(piece)
    return "identity" if in_format is None else in_format.kind
