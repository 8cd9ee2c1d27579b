"""The verdict on an image: what the station's policy asks, against what its evidence proves.

A pure function. What it is given decides, in whatever order it is given; it reads nothing and asks no clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from bundler.errors import Code, FormatError, TrustError
from bundler.oci.digest import Digest
from bundler.oci.manifest import REFERENCE_DIGEST, Document, Manifest
from bundler.oci.platforms import is_attestation
from bundler.trust.evidence import Evidence, Image
from bundler.trust.examine import Effort, Fact, Finding, effort, examine
from bundler.trust.keys import PublicKey
from bundler.trust.policy import Naming, Node, Policy, RequiredAttestation, Rule
from bundler.trust.proven import is_about, is_evidence
from bundler.trust.signer import persons
from bundler.trust.unverified import UnverifiedSignature
from bundler.trust.verdict import Check, OtherSigner, Outcome, Verdict

MAX_PIECES = 1000  # of evidence about one manifest: as many as one list of layers holds. More are a way to keep a station busy
MAX_VERIFICATIONS = 4000  # of an image: each piece by each signer of the rule. The slowest keys take 1 ms, so this is 4 s
MAX_BESIDE = 500  # verifications of an image by keys that do not count in its rule, only to say whose a signature is
MAX_REPEATED = 1 << 30  # bytes of an image that are signed and hashed, or verified, more than once: 2 s of the slowest keys

_POLICY_CODES = (Code.POLICY_NO_MATCH, Code.POLICY_THRESHOLD, Code.POLICY_ATTESTATION, Code.POLICY_NAME)
_SPEC = "trust.toml"


def judge(policy: Policy, image: Image, evidence: Iterable[Evidence], *, at: datetime) -> Verdict:
    """What ``policy`` says of ``image`` as of ``at``, given all the ``evidence`` about its manifests and about other evidence.

    ``evidence`` is asked once, in any order, and of its payloads none is kept. Nothing in it makes this raise: what is wrong
    with a piece is a failed check, and takes nothing from the others.
    """
    rule = policy.rule_for(image.reference.repository)
    if rule is None:
        found = _asked(image.root, "rule", Code.POLICY_NO_MATCH, f"no rule covers {image.reference.repository}")
        return Verdict(image.reference, image.root, None, (), (Code.POLICY_NO_MATCH,), (found,), frozenset())
    if rule.deny is not None:
        found = _asked(image.root, "rule", Code.POLICY_DENIED, f"denied: {rule.deny}")
        return Verdict(image.reference, image.root, str(rule.scope), (), (Code.POLICY_DENIED,), (found,), frozenset())
    return _Case(rule, image, _heard(rule, image, evidence, at, _Beside(policy, rule))).verdict(policy)


@dataclass(frozen=True, slots=True)
class _Examined:
    """What all evidence together comes to."""

    findings: tuple[Finding, ...]
    carriers: Mapping[Digest, Document]
    """The manifests of evidence."""
    about: frozenset[tuple[Digest, Digest]]
    """Which manifest has which evidence."""
    proven: frozenset[Digest]
    """Layers of evidence that are proven to be evidence."""
    crowded: tuple[Digest, ...]
    """Manifests about which more was found than is looked at."""
    costly: str | None
    """What of the image would take more than is spent on one; nothing is judged then."""


def _heard(rule: Rule, image: Image, evidence: Iterable[Evidence], at: datetime, beside: "_Beside") -> _Examined:
    findings: list[Finding] = []
    carriers: dict[Digest, Document] = {}
    about: set[tuple[Digest, Digest]] = set()
    proven: set[Digest] = set()
    counted: Counter[Digest] = Counter()
    spent = _Spent()
    for piece in evidence:
        counted[piece.subject] += 1
        carriers[piece.document.digest] = piece.document
        proven |= {piece.layer.digest} if piece.layer and piece.is_proven else set()
        about |= {(piece.subject, piece.document.digest)} if is_about(piece.document, piece.subject, piece.form) else set()
        if counted[piece.subject] <= MAX_PIECES:
            spent.on(effort(rule, image, piece))
        if counted[piece.subject] <= MAX_PIECES and not spent.too_much:
            findings.append(examine(rule, image, piece, at=at, whose=beside.whose))
    crowded = {subject for subject, number in counted.items() if number > MAX_PIECES}
    if beside.too_much:  # which of them were tried depends on the order
        findings = [replace(finding, other=finding.other and finding.other.unnamed()) for finding in findings]
    judged = () if spent.too_much else (finding for finding in findings if finding.subject not in crowded)
    return _Examined(
        findings=tuple(sorted(judged, key=lambda finding: finding.piece)),
        carriers=carriers,
        about=frozenset(about),
        proven=frozenset(proven),
        crowded=tuple(sorted(crowded)),
        costly=spent.too_much,
    )


class _Beside:
    """The keys that trust names and the rule does not: they count for nothing, but they can tell whose a signature is."""

    def __init__(self, policy: Policy, rule: Rule) -> None:
        self._policy, self._rule = policy, rule
        self._keys: tuple[PublicKey, ...] | None = None  # found only where they are asked for
        self._tried = 0

    @property
    def too_much(self) -> bool:
        return self._tried > MAX_BESIDE

    def whose(self, offer: UnverifiedSignature) -> PublicKey | None:
        """By which of them the signature is."""
        if self._keys is None:
            counting = {str(entry) for entry in self._rule.everybody}
            self._keys = tuple(key for key in self._policy.keys if key.fingerprint not in counting)
        self._tried += len(self._keys)
        for key in () if self.too_much else self._keys:
            with suppress(TrustError, FormatError):
                key.verify(offer.signature, offer.signed)
                return key
        return None


class _Spent:
    """What judging an image has taken so far. It is summed up before it is spent, so the order of evidence plays no part."""

    def __init__(self) -> None:
        self._verifications = 0
        self._repeated = 0
        self._read: set[Digest] = set()

    def on(self, cost: Effort) -> None:
        self._verifications += cost.verifications
        self._repeated += sum(size * cost.verifications for _, size in cost.read)
        self._repeated -= sum(size for digest, size in cost.read if cost.verifications and digest not in self._read)
        self._read |= {digest for digest, _ in cost.read if cost.verifications}

    @property
    def too_much(self) -> str | None:
        if self._verifications > MAX_VERIFICATIONS:
            return f"more than {MAX_VERIFICATIONS} verifications, which is each piece of evidence by each signer of the rule"
        if self._repeated > MAX_REPEATED:
            return f"more than {MAX_REPEATED} bytes verified again, which is each payload by each signer of the rule wherever it lies"
        return None


@dataclass(frozen=True, slots=True)
class _Case:
    rule: Rule
    image: Image
    heard: _Examined

    def verdict(self, policy: Policy) -> Verdict:
        standing = self._standing()
        facts = self._facts(standing)
        asked = tuple(self._asked_of(self.image.root, facts))
        seen = tuple(self._seen(standing, facts))
        passed = _all_passed(asked)
        counted = [fact.signed_by for node in self._asked_nodes() for fact in facts[node] if self._counts(fact)]
        return Verdict(
            reference=self.image.reference,
            digest=self.image.root,
            rule=str(self.rule.scope),
            signers=tuple(sorted(set(counted))),
            reasons=() if passed else _reasons((*asked, *seen)),
            checks=(*asked, *seen),
            admitted=self._admitted(standing) if passed else frozenset(),
            others=self._others(policy),
            times=tuple(sorted({time for signed_by in counted for time in signed_by.times})),
        )

    def _others(self, policy: Policy) -> tuple[OtherSigner, ...]:
        """Each once; only who is proved to be somebody is called by that one's name."""
        found = {finding.other for finding in self.heard.findings if finding.other is not None}
        names = policy.names if any(other.proved for other in found) else {}
        told = [replace(other, name=names.get(other.id)) if other.proved and other.id else other for other in found]
        return tuple(sorted(told, key=lambda other: (not other.proved, other.kind, other.id or "", other.form, other.node)))

    def _standing(self) -> frozenset[Digest]:
        """The evidence that may enter: what is proven to be evidence, and what is not and passes as an image itself.

        That may rest on further evidence, so this is asked until nothing is added.
        """
        code = self._code()
        standing = self.heard.carriers.keys() - code
        while passing := {d for d in code - standing if _all_passed(self._asked_of(d, self._facts(standing)))}:
            standing |= passing
        return frozenset(standing)

    def _facts(self, standing: AbstractSet[Digest]) -> Mapping[Digest, list[Fact]]:
        """What is proved of each manifest by evidence that is ``standing``."""
        facts: defaultdict[Digest, list[Fact]] = defaultdict(list)
        for finding in self.heard.findings:
            for fact in finding.facts:
                if fact.carrier in standing:
                    facts[finding.subject].append(fact)
        return facts

    def _code(self) -> frozenset[Digest]:
        """What was found as evidence and is not proven to be any."""
        carriers = self.heard.carriers
        unproven = {digest for digest, document in carriers.items() if not is_evidence(document, self.heard.proven)}
        return (self.image.borrowing & carriers.keys()) | unproven

    def _nodes(self, root: Digest, which: Node) -> tuple[Digest, ...]:
        """The manifests that must be signed for ``root``; never none. An index that lists more than manifests and indexes is one of
        them: nothing else vouches for that."""
        if which is Node.REFERENCE:
            return (root,)
        documents = self._below(root)
        below = tuple(d.digest for d in documents if isinstance(d.content, Manifest) and d.digest not in self.image.attestations)
        holding = tuple(d.digest for d in (self.image.documents.get(root), *documents) if d is not None and d.others)
        return tuple(dict.fromkeys((root, *holding, *below) if which is Node.BOTH else (*holding, *below) or (root,)))

    def _asked_nodes(self) -> frozenset[Digest]:
        """All manifests that anything is asked of."""
        which = {self.rule.node, *(wanted.node for wanted in self.rule.attestations)}
        return frozenset(chain.from_iterable(self._nodes(self.image.root, node) for node in which))

    def _below(self, root: Digest) -> Sequence[Document]:
        """All carried documents below ``root``, once each."""
        found: dict[Digest, Document] = {}
        waiting = [root]
        while waiting:
            document = self.image.documents.get(waiting.pop())
            children = document.children if document else ()
            fresh = {c.digest: self.image.documents[c.digest] for c in children if c.digest in self.image.documents}
            waiting += [digest for digest in fresh if digest not in found]
            found |= fresh
        return tuple(found.values())

    def _asked_of(self, root: Digest, facts: Mapping[Digest, list[Fact]]) -> Iterator[Check]:
        """What the rule asks of ``root``, node by node, and whether it is there."""
        signed = self._nodes(root, self.rule.node)
        attested = [self._nodes(root, wanted.node) for wanted in self.rule.attestations]
        for node in dict.fromkeys((*signed, *chain.from_iterable(attested))):
            proved = facts.get(node, [])
            if self.rule.threshold and node in signed:
                yield from self._threshold(node, [fact for fact in proved if fact.wanted is None])
            for number, wanted in enumerate(self.rule.attestations):
                if node in attested[number]:
                    there = any(fact.wanted == number for fact in proved)
                    yield self._attestation(node, wanted, there=there)

    def _attestation(self, node: Digest, wanted: RequiredAttestation, *, there: bool) -> Check:
        by = "a signer of the rule" if wanted.signers == self.rule.signers else "its signers"
        if there:
            return Check("attestation", Outcome.PASSED, None, f"{wanted.type} by {by}", node, _SPEC, required=True)
        return _asked(node, "attestation", Code.POLICY_ATTESTATION, f"no {wanted} by {by}" if wanted.plain else f"no {wanted}")

    def _threshold(self, node: Digest, signatures: Sequence[Fact]) -> Iterator[Check]:
        wanted = self.rule.threshold
        enough = f"{wanted} of the rule's {len(self.rule.signers)} signers"
        found = _largest_matching([fact for fact in signatures if self._counts(fact)])
        if found >= wanted:
            yield Check("threshold", Outcome.PASSED, None, f"signed by {found}, wanted {enough}", node, _SPEC, required=True)
        elif _largest_matching(signatures) >= wanted:
            yield _asked(
                node, "name", Code.POLICY_NAME, f"too few signatures name {self.image.reference.repository}: found {found}, wanted {enough}"
            )
        else:
            yield _asked(node, "threshold", Code.POLICY_THRESHOLD, f"signed by {found}, wanted {enough}")
            if (
                not self.heard.costly
                and node not in self.heard.crowded
                and not any(f.meant for f in self.heard.findings if f.subject == node)
            ):
                yield _asked(node, "signature", Code.SIGNATURE_MISSING, "no signature was found")

    def _counts(self, fact: Fact) -> bool:
        return fact.wanted is not None or self.rule.name is Naming.ANY or fact.names

    def _seen(self, standing: AbstractSet[Digest], facts: Mapping[Digest, list[Fact]]) -> Iterator[Check]:
        """What was looked at that the rule does not ask for by name."""
        for subject in self.heard.crowded:
            yield _asked(subject, "evidence", Code.LIMIT_EVIDENCE, f"more than {MAX_PIECES} pieces of evidence, of which none is judged")
        if self.heard.costly:
            yield _asked(self.image.root, "evidence", Code.LIMIT_EVIDENCE, f"to judge it would take {self.heard.costly}: none is judged")
        yield from self._in_indexes()
        for digest in sorted(self._code()):
            if digest in standing:
                yield Check("evidence", Outcome.PASSED, None, "not proven to be evidence, and signed as an image itself", digest, _SPEC)
            else:
                detail = "not proven to be evidence, so it is treated as code, and it is not signed as an image"
                yield _asked(digest, "evidence", Code.EVIDENCE_RUNNABLE, detail)
        for check in dict.fromkeys(check for finding in self.heard.findings for check in finding.checks):
            yield self._with_its_own_signatures(check, facts)

    def _in_indexes(self) -> Iterator[Check]:
        """BuildKit's attestations lie unsigned in the index, and are as good as its digest."""
        for document in (*filter(None, [self.image.documents.get(self.image.root)]), *self._below(self.image.root)):
            for child in document.children:
                if is_attestation(child) and child.digest in self.image.documents:
                    about = ascii(child.annotations.get(REFERENCE_DIGEST, "nothing")[:160])[1:-1]
                    detail = f"BuildKit's, in the index, about {about}: nobody signed it by itself"
                    yield Check("attestation", Outcome.UNSIGNED, Code.EVIDENCE_UNSIGNED, detail, child.digest, "buildkit, attestations")

    def _with_its_own_signatures(self, check: Check, facts: Mapping[Digest, list[Fact]]) -> Check:
        """What holds no signature is worth what the signatures about its manifest are worth."""
        signatures = [fact for fact in facts.get(check.subject, []) if fact.wanted is None and self._counts(fact)]
        if check.outcome is Outcome.UNSIGNED and _largest_matching(signatures) >= max(1, self.rule.threshold):
            return replace(check, outcome=Outcome.PASSED, code=None, detail=f"{check.detail}; its manifest is signed")
        return check

    def _admitted(self, standing: AbstractSet[Digest]) -> frozenset[Digest]:
        """The standing evidence about the image, about what is below it, and about admitted evidence."""
        admitted: set[Digest] = set()
        reached = {self.image.root, *(document.digest for document in self._below(self.image.root))}
        while more := {digest for subject, digest in self.heard.about if subject in reached and digest in standing} - admitted:
            admitted |= more
            reached |= more | {document.digest for digest in more for document in self._below(digest)}
        return frozenset(admitted)


def _largest_matching(facts: Iterable[Fact]) -> int:
    """How many of the rule's signers the facts fill, where each person fills one at most.

    Who shares a key or an identity is one person, by whatever entries: a pinned key may stand in a certificate too.
    """
    facts = tuple(facts)
    person = persons([frozenset({f"{fact.signed_by.kind} {fact.signed_by.id}"}) | fact.signed_by.also for fact in facts])
    entries: defaultdict[int, set[int]] = defaultdict(set)
    for fact, who in zip(facts, person, strict=True):
        entries[fact.entry].add(who)
    filled: dict[int, int] = {}

    def fill(entry: int, tried: set[int]) -> bool:
        for who in sorted(entries[entry] - tried):
            tried.add(who)
            if who not in filled or fill(filled[who], tried):
                filled[who] = entry
                return True
        return False

    return sum(fill(entry, set()) for entry in sorted(entries))


def _all_passed(asked: Iterable[Check]) -> bool:
    """Nothing asked is nothing passed."""
    outcomes = {check.outcome for check in asked}
    return outcomes == {Outcome.PASSED}


def _reasons(checks: Iterable[Check]) -> tuple[Code, ...]:
    failed = {check.code for check in checks if check.outcome is Outcome.FAILED and check.code}
    return (*(code for code in _POLICY_CODES if code in failed), *sorted(failed.difference(_POLICY_CODES)))


def _asked(subject: Digest, name: str, code: Code, detail: str) -> Check:
    return Check(name, Outcome.FAILED, code, detail, subject, _SPEC)
