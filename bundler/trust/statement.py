"""In-toto statements: what an attestation says, and of which artifacts (in-toto/attestation, ``spec/v1/statement.md``)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError, translated
from bundler.oci.manifest import Document
from bundler.trust.evidence import MAX_EVIDENCE
from bundler.trust.need import need
from bundler.trust.once import once

PAYLOAD_TYPE = "application/vnd.in-toto+json"
TYPES = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
MAX_SUBJECTS = 1024  # as sigstore-go; whole releases are attested in one statement
MAX_DIGESTS = 32

_MEMBERS = frozenset({"_type", "subject", "predicateType", "predicate"})
_ALGORITHMS = ("sha256", "sha384", "sha512")
_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: what is said, and of which artifacts."""

    predicate_type: str
    subjects: tuple[Mapping[str, str], ...]
    """The digests of each artifact, by algorithm. Their names are nobody's business: an image is its digest."""
    annotations: tuple[Mapping[str, str], ...] = ()
    """What is said of each artifact beside its digests."""
    predicate: Any = field(default=None, repr=False)

    @classmethod
    def parse(cls, payload: bytes) -> "Statement":
        """From a payload whose signature was verified. Raises FormatError (``intoto.statement``)."""
        return _parsed(payload)

    def check_about(self, document: Document) -> Mapping[str, str]:
        """Go on if a subject is these very bytes: equal in one digest, and contradicted by none. Gives its annotations.

        Raises TrustError (``intoto.subject``).
        """
        ours = {algorithm: hashlib.new(algorithm, document.raw).hexdigest() for algorithm in _ALGORITHMS}
        about = [number for number, subject in enumerate(self.subjects) if _is(subject, ours)]
        need(bool(about), Code.INTOTO_SUBJECT, "the statement is about something else", found=self._first, wanted=document.digest)
        return self.annotations[about[0]]

    @property
    def _first(self) -> str:
        (algorithm, encoded), *_ = self.subjects[0].items()
        more = f" and {len(self.subjects) - 1} more" if len(self.subjects) > 1 else ""
        return f"{algorithm}:{encoded}"[:160] + more


@once
def _parsed(payload: bytes) -> Statement:
    with translated(FormatError, to=FormatError, what="an in-toto statement is not well-formed", code=Code.INTOTO_STATEMENT):
        value = strictjson.loads(payload, limit=MAX_EVIDENCE, predicate=True)
        match value:
            case {"_type": str(kind), "subject": [_, *_] as subjects, "predicateType": str(predicate_type)} if predicate_type:
                strictjson.check_names(value, _MEMBERS)
                if kind not in TYPES:
                    raise FormatError("a statement of another version", found=ascii(kind[:80]), wanted=" or ".join(TYPES))
                if len(subjects) > MAX_SUBJECTS:
                    raise FormatError("a statement with too many subjects", found=len(subjects), wanted=f"at most {MAX_SUBJECTS}")
                digests, annotations = tuple(map(_digests, subjects)), tuple(map(_annotations, subjects))
                return Statement(predicate_type, digests, annotations, value.get("predicate"))
    raise FormatError("an in-toto statement is not well-formed", code=Code.INTOTO_STATEMENT, wanted="_type, subject, predicateType")


def _is(subject: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    known = subject.keys() & ours.keys()
    return bool(known) and all(subject[algorithm] == ours[algorithm] for algorithm in known)


def _digests(subject: Any) -> Mapping[str, str]:
    match subject:
        case {"digest": dict() as digests} if 1 <= len(digests) <= MAX_DIGESTS and all(isinstance(d, str) for d in digests.values()):
            if all(_HEX.fullmatch(digests[algorithm]) for algorithm in digests.keys() & set(_ALGORITHMS)):
                return digests
    raise FormatError("a subject without well-formed digests", found=ascii(subject)[:80], wanted=f"1 to {MAX_DIGESTS} in lower-case hex")


def _annotations(subject: Any) -> Mapping[str, str]:
    """A subject's annotations that are texts (in-toto/attestation, ``spec/v1/resource_descriptor.md``)."""
    annotations = subject.get("annotations")
    return {n: value for n, value in annotations.items() if isinstance(value, str)} if isinstance(annotations, dict) else {}
