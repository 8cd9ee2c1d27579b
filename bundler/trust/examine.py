"""One piece of evidence, looked at: whose signature it is, what it says, and what of it was not looked at.

Whatever is wrong with it is a failed check and takes nothing from the others: anybody can add evidence to an image.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from bundler.errors import Code, FormatError, TrustError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.trust.evidence import MAX_EVIDENCE, Evidence, Image
from bundler.trust.formats import format_of
from bundler.trust.keys import PublicKey, named_by
from bundler.trust.need import need
from bundler.trust.policy import Naming, RequiredAttestation, Rule
from bundler.trust.signer import AnotherSignerError, SignerEntry, SignerProof
from bundler.trust.unverified import Claim, Format, Layer, UnverifiedSignature
from bundler.trust.verdict import Check, OtherSigner, Outcome, SignedBy

Whose = Callable[[UnverifiedSignature], PublicKey | None]
"""By which other key a signature is."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Proved: a signer of the rule has signed a manifest, or attested what the rule asks for."""

    signed_by: SignedBy
    carrier: Digest
    """The manifest of evidence that it stands in."""
    entry: int
    """Which of the rule's signers."""
    wanted: int | None
    """Which of the rule's attestations it is; None for a signature."""
    names: bool
    """Whether it names the repository."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one piece of evidence."""

    piece: tuple[str, str, str, int]
    """Names it: findings sorted by this stand in one order, whatever order the evidence came in."""
    subject: Digest
    checks: tuple[Check, ...]
    facts: tuple[Fact, ...] = ()
    meant: bool = False
    """Whether it is meant as a signature, good or bad; what is known to be an attestation is not."""
    other: OtherSigner | None = None
    """Whose it is, if it is by no signer of the rule."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What it would take to judge a piece of evidence."""

    verifications: int
    read: tuple[tuple[Digest, int], ...]
    """What each verification may be over: the payload and the manifest that it is about, with their sizes in bytes."""


def effort(rule: Rule, image: Image, piece: Evidence) -> Effort:
    """What :func:`examine` would take for it, at most."""
    if format_of(piece) is None or piece.layer is None or piece.payload is None:  # mutant-equivalent without part 2: that is of no format
        return Effort(0, ())
    subject = image.documents.get(piece.subject)
    about = ((subject.digest, subject.descriptor.size),) if subject else ()
    return Effort(len(rule.everybody), ((piece.layer.digest, piece.layer.size), *about))


def examine(rule: Rule, image: Image, piece: Evidence, *, at: datetime, whose: Whose = lambda _: None) -> Finding:
    """``piece`` under ``rule``, judged as of ``at``. Nothing in it makes this raise.

    ``whose`` is asked about a signature by a key that is by no signer of the rule, and gives the key where that is known.
    """
    in_format = format_of(piece)
    meant = in_format is not None and not in_format.attests
    try:
        subject = _subject(image, piece)
        if in_format is None:
            return _finding(piece, [_without_signature(piece)])
        offer = in_format.read(_layer(piece, subject))
        proofs, errors = _tried(rule, offer, at)
        claim = offer.claim() if proofs else None
    except (TrustError, FormatError) as error:
        return _finding(piece, [_failed(piece, "evidence", error.code, str(error))], meant=meant)
    if claim is None:
        return _finding(
            piece, _unmet(piece, rule, offer, errors), meant=meant, other=_other(piece, rule, in_format, offer, errors, whose=whose)
        )
    names = _names(claim, image.reference)
    lacks = list(_lacking(piece, rule, claim))
    return _finding(
        piece,
        [*_met(piece, claim, in_format, offer, proofs), *_naming(piece, rule, claim, names=names), *lacks],
        facts=() if lacks and claim.predicate_type is None else tuple(_facts(piece, rule, claim, offer, proofs, names=names)),
        meant=claim.predicate_type is None,
    )


def _subject(image: Image, piece: Evidence) -> Document:
    """The manifest that ``piece`` was found for, which one with a subject, by whatever way it was found, must describe exactly
    (distribution-spec, "Listing Referrers")."""
    subject = image.documents.get(piece.subject)
    if subject is None:
        raise TrustError("evidence about a manifest that is not carried", code=Code.CARRIER_SUBJECT, found=piece.subject)
    said, wanted = piece.document.subject, subject.descriptor
    if piece.form is Form.REFERRER or said is not None:
        same = said is not None and (said.digest, said.size, said.media_type) == (wanted.digest, wanted.size, wanted.media_type)
        need(same, Code.CARRIER_SUBJECT, "evidence that refers to something else", found=_described(said), wanted=_described(wanted))
    return subject


def _described(subject: Descriptor | None) -> str:
    return f"{subject.digest}, {subject.size} bytes, {subject.media_type[:160]}" if subject else "none"


def _layer(piece: Evidence, subject: Document) -> Layer:
    if piece.layer is None or piece.payload is None:  # mutant-equivalent without part 1: without a layer there is no payload
        raise TrustError("a signature is too large to be judged", code=Code.LIMIT_EVIDENCE, wanted=f"at most {MAX_EVIDENCE} bytes")
    return Layer(piece.layer, piece.payload, piece.document, subject)


@dataclass(frozen=True, slots=True)
class _Proof:
    number: int
    entry: SignerEntry
    met: SignerProof


def _tried(rule: Rule, offer: UnverifiedSignature, at: datetime) -> tuple[list[_Proof], dict[Code, TrustError | FormatError]]:
    """Everybody in the rule whose signature it is; and why it is not the others'."""
    proofs: list[_Proof] = []
    errors: dict[Code, TrustError | FormatError] = {}
    for number, entry in enumerate(rule.everybody):
        try:
            proofs.append(_Proof(number, entry, entry.prove(offer, at=at)))
        except (TrustError, FormatError) as error:
            errors.setdefault(error.code, error)
    return proofs, errors


def _unmet(piece: Evidence, rule: Rule, offer: UnverifiedSignature, errors: Mapping[Code, TrustError | FormatError]) -> Iterator[Check]:
    """Why it is nobody's. Where a signer of its kind is pinned, that it is not of another's kind goes without saying."""
    everybody = rule.everybody
    for code, detail in ((code, str(error)) for code, error in errors.items()):
        if code is not Code.BUNDLE_MATERIAL or len(errors) == 1:
            yield _failed(piece, "signature", code, detail if len(everybody) == 1 else f"{detail} (of {len(everybody)} signers)")
    hint = offer.material.hint
    if Code.SIGNATURE_INVALID in errors and offer.material.by_key and not _is_named(rule, hint):
        # Which of the two it is, a signature without a known hint does not tell, so both are said.
        says = f", found the hint {hint[:80]!a}" if hint else ""
        yield _failed(piece, "key", Code.KEY_UNKNOWN, f"made by a key that the rule does not pin, or altered since{says}")


def _is_named(rule: Rule, hint: str | None) -> bool:
    return hint is not None and any(entry.is_named_by(hint) for entry in rule.everybody)


def _other(
    piece: Evidence,
    rule: Rule,
    in_format: Format,
    offer: UnverifiedSignature,
    errors: Mapping[Code, TrustError | FormatError],
    *,
    whose: Whose,
) -> OtherSigner | None:
    """Whose it is; None where it says that it is by a signer of the rule, and is not."""
    found = partial(OtherSigner, form=offer.form, node=piece.subject)
    for error in errors.values():
        if isinstance(error, AnotherSignerError):
            return found(in_format.kind, error.who, proved=error.proved)
    if not offer.material.by_key:
        return found(in_format.kind, None, proved=False)
    if (key := whose(offer)) is not None:
        return found("key", key.fingerprint, proved=True)
    hint = offer.material.hint
    return None if _is_named(rule, hint) else found("key", named_by(hint) if hint else None, proved=False)


def _met(piece: Evidence, claim: Claim, in_format: Format, offer: UnverifiedSignature, proofs: Sequence[_Proof]) -> Iterator[Check]:
    what = "signature" if claim.predicate_type is None else "attestation"
    of = "" if claim.predicate_type is None else f"{ascii(claim.predicate_type[:160])[1:-1]}, "
    for proof in proofs:
        found = _check(piece, what, Outcome.PASSED, proof.met.remark, f"{of}{proof.met.how}", spec=in_format.spec)
        yield replace(found, signer=proof.met.id, under=proof.met.under)
        if offer.material.wrapped:
            yield _check(
                piece, "encoding", Outcome.PASSED, Code.SIGNATURE_WRAPPED, "there are line ends in its base64, which are passed over"
            )
        for code, detail in proof.met.not_checked:
            yield _check(piece, "beside", Outcome.NOT_CHECKED, code, detail)


def _facts(
    piece: Evidence, rule: Rule, claim: Claim, offer: UnverifiedSignature, proofs: Sequence[_Proof], *, names: bool
) -> Iterator[Fact]:
    for proof in proofs:
        signed_by = SignedBy(
            kind=proof.entry.kind,
            id=proof.met.id,
            form=offer.form,
            node=piece.subject,
            also=proof.met.also,
            name=proof.entry.name,
            times=proof.met.times,
        )
        if claim.predicate_type is None and proof.number < len(rule.signers):
            yield Fact(signed_by, piece.document.digest, proof.number, None, names)
        for number, wanted in enumerate(rule.attestations):
            if claim.predicate_type == wanted.type and proof.entry in wanted.signers and not list(_unlike(wanted, claim)):
                yield Fact(signed_by, piece.document.digest, proof.number, number, names)


def _lacking(piece: Evidence, rule: Rule, claim: Claim) -> Iterator[Check]:
    """What the rule wants to stand in what was signed, and what stands there."""
    if claim.predicate_type is None:
        for name, value in rule.annotations:
            if (found := claim.annotations.get(name)) != value:
                detail = f"the annotation {name!a}: found {ascii(found)[:160]}, wanted {value!a}"
                yield _failed(piece, "annotation", Code.PAYLOAD_ANNOTATIONS, detail)
    for wanted in rule.attestations:
        if claim.predicate_type == wanted.type:
            yield from (_failed(piece, "predicate", Code.INTOTO_PREDICATE, detail) for detail in _unlike(wanted, claim))


def _unlike(wanted: RequiredAttestation, claim: Claim) -> Iterator[str]:
    """Where the predicate says something else, compared with what it says and never with what that may mean."""
    for place, value in wanted.where:
        found = claim.predicate
        for name in place.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if type(found) is not type(value) or found != value:
            yield f"{place!a} of the predicate: found {ascii(found)[:160]}, wanted {value!a}"


def _names(claim: Claim, reference: Reference) -> bool:
    """Whether the payload names the repository of ``reference``, whatever tag it adds."""
    try:
        return claim.names is not None and Reference.parse(claim.names).repository == reference.repository
    except FormatError:
        return False


def _naming(piece: Evidence, rule: Rule, claim: Claim, *, names: bool) -> Iterator[Check]:
    if rule.name is Naming.SIGNED and claim.predicate_type is None and not names:
        found = "none" if claim.names is None else ascii(claim.names[:160])
        yield _failed(piece, "name", Code.POLICY_NAME, f"signed under another name than the image has here: found {found}")


def _without_signature(piece: Evidence) -> Check:
    kind = (piece.layer.media_type if piece.layer else piece.document.content.kind) or piece.document.descriptor.media_type
    if piece.form in (Form.SIG, Form.ATT):
        return _check(piece, "evidence", Outcome.NOT_CHECKED, Code.CARRIER_OTHER, f"{ascii(kind[:160])[1:-1]}, which is not judged here")
    return _check(piece, "evidence", Outcome.UNSIGNED, Code.EVIDENCE_UNSIGNED, f"{ascii(kind[:160])[1:-1]}, which holds no signature")


def _finding(
    piece: Evidence, checks: Iterable[Check], *, facts: tuple[Fact, ...] = (), meant: bool = False, other: OtherSigner | None = None
) -> Finding:
    name = (str(piece.subject), str(piece.document.digest), str(piece.form), piece.place)
    return Finding(name, piece.subject, tuple(checks), facts, meant, other)


def _failed(piece: Evidence, name: str, code: Code, detail: str) -> Check:
    return _check(piece, name, Outcome.FAILED, code, detail)


def _check(piece: Evidence, name: str, outcome: Outcome, code: Code | None, detail: str, *, spec: str | None = None) -> Check:
    return Check(name, outcome, code, f"layer {piece.place}: {detail}" if piece.place else detail, piece.document.digest, spec)
