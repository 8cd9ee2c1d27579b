"""Carrying images out: surveyed, judged where there is trust, sealed, written whole."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bundler import strictjson
from bundler.bundle import archive, writing
from bundler.bundle.composition import Composition, compose, entry
from bundler.bundle.seal import STREAM, TRUST, ImageEntry, Kind, Member, Seal
from bundler.bundle.sealenvelope import preauthentication, sealed
from bundler.content.files import check_names, check_not_taken, check_space, read_small
from bundler.content.medium import FileMedium
from bundler.content.store import Source
from bundler.content.together import tidy, together
from bundler.errors import Code, FormatError, UsageError, translated
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Lookup, looked_up
from bundler.oci.manifest import Document
from bundler.oci.mediatype import compresses
from bundler.oci.reference import Reference
from bundler.stations.bases import NO_BASES, Bases
from bundler.stations.gathering import Good
from bundler.stations.privatekeys import KeySigner
from bundler.stations.report import Progress
from bundler.stations.saving import Saving, saving
from bundler.stations.survey import Survey
from bundler.stations.truststore import Trust
from bundler.trust.keys import PublicKey

MAX_CARRIED_FILE = 16 << 20  # as an attestation that is judged: what somebody reads at the far end


@dataclass(frozen=True, slots=True)
class Order:
    """What an export is to be, as its person said it. Raises UsageError for a stream that no bundle can be of."""

    stream: str
    sequence: int
    previous: Digest | None
    created: datetime
    expires: datetime | None
    station: str | None = None
    """The only one that it is for."""
    requires_trust: int | None = None
    """The least serial, from 1, of the trust that a station judges it by."""
    bases: Bases = NO_BASES
    """What the far side has already."""
    mtime: int = 0
    """Of every member, seconds since 1970: SOURCE_DATE_EPOCH, else 0."""

    def __post_init__(self) -> None:
        if not STREAM.fullmatch(self.stream):
            raise UsageError(
                "a stream's name is not well-formed", found=ascii(self.stream)[:160], wanted="1 to 64 letters, digits, dots, _ and -"
            )
        if self.station is not None and not (0 < len(self.station) <= 255 and self.station.isprintable()):
            raise UsageError("a station's name is not well-formed", found=ascii(self.station)[:160], wanted="1 to 255 printable characters")
        self.bases.check_station(self.station)


@dataclass(frozen=True, slots=True)
class Plan:
    """A bundle that could be written: everything is known of it but the bytes of its layers."""

    surveys: tuple[Survey, ...]
    checked: bool
    """Whether all were judged and passed; else none was."""
    seal: Seal
    layout: Composition
    evidence: dict[Digest, bytes]
    """Files of kind trust."""
    bases: Bases = NO_BASES

    @property
    def images(self) -> tuple[Survey, ...]:
        """One for each image of the bundle, however often and from wherever it was asked for."""
        first = {survey.carried.reference: survey for survey in reversed(self.surveys)}
        return tuple(first[image.reference] for image in self.seal.images)

    @property
    def saving(self) -> Saving:
        """What the bases came to."""
        return saving(self.bases, self.seal, (survey.carried for survey in self.images))

    @property
    def size(self) -> int:
        """Bytes of content, before compression."""
        return sum(member.size for member in self.seal.members)


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle that was written; with ``--dry-run`` it has neither digest nor identity, and its size is that of its content."""

    file: Path | None
    plan: Plan
    written: writing.Written | None = None
    identity: Digest | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file) if self.file else None,
            "sha256": self.written.digest.encoded if self.written else None,
            "size": self.written.size if self.written else self.plan.size,
            "bundle": str(self.identity) if self.identity else None,
            "images": [_image_json(survey, checked=self.plan.checked) for survey in self.plan.images],
            "base": self.plan.saving.to_json() if self.plan.bases.files else None,
        }


def plan(good: Sequence[Good], order: Order, *, keys: Sequence[PublicKey], carry: Sequence[Path], trust: Trust | None) -> Plan:
    """Lay out a bundle of these images, which ``trust``, if there is any, has judged.

    Raises FormatError and IntegrityError where what the images are made of does not go together, and UsageError for a file that
    is not to be carried.
    """
    surveys = tuple(one.survey for one in good)
    evidence = _evidence(keys, carry, trust, [survey.carried.reference for survey in surveys])
    lookups = tuple(_joined(lookup for survey in surveys for lookup in survey.carried.lookups))
    documents = {digest: document for survey in surveys for digest, document in survey.carried.documents.items()}
    images = _entries(surveys, lookups, documents)
    there = {blob.digest for survey in surveys for blob in survey.carried.blobs}
    layout = compose(
        images,
        lookups,
        lambda digest, _: documents[digest],
        trust=tuple(member for member, _ in evidence),
        absent=frozenset().union(*(survey.carried.absent for survey in surveys)) - there,
        elsewhere=_elsewhere(surveys, order.bases),
    )
    seal = Seal(
        stream=order.stream,
        sequence=order.sequence,
        previous=order.previous,
        station=order.station,
        requires_trust=order.requires_trust,
        base=order.bases.identities({each.digest for each in layout.elsewhere}),
        created=order.created,
        expires=order.expires,
        checked_with=trust.policy.digest if trust else None,
        images=images,
        members=layout.members,
        lookups=layout.lookups,
        left_out=layout.left_out,
        elsewhere=layout.elsewhere,
    )
    return Plan(surveys, trust is not None, seal, layout, {member.digest: data for member, data in evidence}, order.bases)


def _elsewhere(surveys: Sequence[Survey], bases: Bases) -> set[Digest]:
    """What the bases say to be there already. What they give another size is carried: one of both is wrong."""
    return {blob.digest for survey in surveys for blob in survey.carried.blobs if bases.blobs.get(blob.digest) == blob.size}


def check_free(path: Path, *, replace: bool) -> list[int]:
    """Refuse early an output that could not be written, and remove what killed runs left there; gives how large that was, in bytes.

    Raises UsageError for a name that cannot be, ConflictError (``output.exists``), TransportError (``disk.io``, ``disk.full``)
    for a folder that nothing can be written to.
    """
    if path.name in ("", ".."):
        raise UsageError("the output has no name", found=ascii(str(path)), wanted="a file, as NAME.oci.tar.zst")
    check_not_taken(path, replace=replace)
    check_names((path, *_beside(path)))
    removed = tidy(path.parent)
    for each in _beside(path):
        check_not_taken(each, replace=replace)
    return removed


def check_room(path: Path, made: Plan) -> str | None:
    """Refuse a bundle for which there is not enough room; gives what is to be said where there may not be.

    How much it shrinks is known only when it is written. What says of itself that it is compressed is counted whole, and
    everything else as half: file systems of images shrink to a third or a half. Raises TransportError (``disk.full``).
    """
    whole = {blob.digest for survey in made.surveys for blob in survey.carried.blobs if not compresses(blob.media_type)}
    least = sum(member.size if member.digest in whole else member.size // 2 for member in made.seal.members)
    free = check_space(path.parent, least, what=f"{path} has not enough room")
    if made.size <= free:
        return None
    return f"the bundle may take up to {made.size} bytes, and {free} are free in {path.parent}"


def write(path: Path, made: Plan, *, signers: Sequence[KeySigner], order: Order, jobs: int, replace: bool, progress: Progress) -> Exported:
    """Seal the bundle and write it with what lets anyone check it without us: ``FILE.sha256`` and ``FILE.sha256.sig``.

    Raises as :func:`together`; IncompleteError (``blob.missing``), IntegrityError and TransportError from a source. Whatever is
    raised, all three are as they were before.
    """
    envelope, identity = _sealed(made.seal, signers)
    with together(path, *_beside(path), replace=replace) as (bundle, checksum, signature):
        with progress("carried", made.size) as report:
            written = writing.write(
                FileMedium(bundle),
                envelope=envelope,
                members=made.seal.members,
                chunks=_chunks(made),
                jobs=jobs,
                mtime=order.mtime,
                report=report,
            )
        line = _checksum(path, written)
        checksum.write(line)
        signature.write(signers[0].sign(line))
    return Exported(path, made, written, identity)


def planned(path: Path | None, made: Plan) -> Exported:
    """What :func:`write` would be about, nothing written. Raises FormatError (``limit.seal``)."""
    made.seal.statement()
    return Exported(path, made)


def previous(text: str) -> Digest:
    """The identity that ``--previous`` names: a digest, or that of a bundle in a file, which is not verified for it.

    Raises UsageError, FormatError, IntegrityError.
    """
    if text.startswith("sha256:"):
        with translated(FormatError, to=UsageError, what="--previous is not a digest", code=Code.USAGE):
            return Digest.parse(text)
    with archive.opened(Path(text)) as bundle:
        return bundle.envelope.identity


def _sealed(seal: Seal, signers: Sequence[KeySigner]) -> tuple[bytes, Digest]:
    """The envelope, and the identity of the bundle. What else it takes to make them is large, and gone before the bundle is written."""
    payload = seal.statement()
    message = preauthentication(len(payload)) + payload
    return sealed(payload, [signer.sign(message) for signer in signers]), Digest.of(payload)


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + ".sha256"), path.with_name(path.name + ".sha256.sig")


def _checksum(path: Path, written: writing.Written) -> bytes:
    """A line as coreutils write it."""
    name = os.fsencode(path.name)
    plain = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"%b%b  %b\n" % (b"" if plain == name else b"\\", written.digest.encoded.encode(), plain)


def _entries(surveys: Sequence[Survey], lookups: Sequence[Lookup], documents: Mapping[Digest, Document]) -> tuple[ImageEntry, ...]:
    """One for each reference."""
    left = {found.digest for lookup in lookups for found in lookup.found} - documents.keys()
    known_lookups = looked_up(lookups) if left else None
    entries: dict[Reference, ImageEntry] = {}
    for survey in surveys:
        if survey.carried.reference not in entries:
            entries[survey.carried.reference] = _entry(survey, left, known_lookups, documents)
    return tuple(entries.values())


def _joined(lookups: Iterable[Lookup]) -> Collection[Lookup]:
    """One for each manifest in each repository: images of one repository may come from several places."""
    joined: dict[tuple[str, Digest], Lookup] = {}
    for lookup in lookups:
        key = (lookup.repository, lookup.manifest)
        known = joined.setdefault(key, lookup)
        if known != lookup:
            asked = {way: min(known.asked[way], lookup.asked[way], key=_BEST.index) for way in known.asked}
            joined[key] = Lookup(lookup.repository, lookup.manifest, asked, tuple(dict.fromkeys((*known.found, *lookup.found))))
    return joined.values()


_BEST = ("found", "foreign", "hidden", "absent", "no-api", "not-asked")


def _entry(
    survey: Survey, left: Set[Digest], lookups: Mapping[tuple[str, Digest], Lookup] | None, documents: Mapping[Digest, Document]
) -> ImageEntry:
    carried = survey.carried
    return entry(
        carried.reference,
        carried.documents[carried.root],
        lambda digest, _: documents[digest],
        left_out={child.digest for child in carried.left_out} | left,
        platforms=carried.platforms,
        asked=carried.platforms[:1],
        lookups=lookups,
    )


def _chunks(made: Plan) -> Callable[[Member], Iterator[bytes]]:
    """Where each member's bytes come from. Of a blob that several sources have, the first serves it."""
    known = {Digest.of(data): data for data in made.layout.derived.values()} | made.evidence
    sources: dict[Digest, tuple[Source, Descriptor]] = {}
    for survey in made.surveys:
        known |= {digest: document.raw for digest, document in survey.carried.documents.items()}
        for blob in survey.carried.blobs:
            sources.setdefault(blob.digest, (survey.source, blob))

    def chunks(member: Member) -> Iterator[bytes]:
        if (data := known.get(member.digest)) is not None:
            return iter((data,))
        source, blob = sources[member.digest]
        return source.chunks(blob)

    return chunks


def _evidence(
    keys: Sequence[PublicKey], carry: Sequence[Path], trust: Trust | None, references: Sequence[Reference]
) -> list[tuple[Member, bytes]]:
    """What travels to be looked at, and authorises nothing: the sealing keys, those that judged here, what was asked for."""
    files = [key.pem for key in keys]
    rules = [trust.policy.rule_for(repository) for repository in {r.repository for r in references}] if trust else []
    files += [data for rule in rules if rule and trust for signer in rule.everybody for data in trust.behind(signer)]
    files += [read_small(path, limit=MAX_CARRIED_FILE, what="the file to carry") for path in carry]
    members = {}
    for data in files:
        if b"PRIVATE KEY-----" in data:
            raise UsageError("a private key is not carried", code=Code.USAGE_KEY, next="carry its public half")
        digest = Digest.of(data)
        members[digest] = (Member(Kind.TRUST, len(data), digest, f"{TRUST}{digest.encoded}.{_ending(data)}"), data)
    return list(members.values())


def _ending(data: bytes) -> str:
    if b"-----BEGIN PUBLIC KEY-----" in data:
        return "pub"
    if b"-----BEGIN CERTIFICATE-----" in data:
        return "crt"
    try:
        strictjson.loads(data, limit=MAX_CARRIED_FILE, predicate=True)
    except FormatError:
        return "bin"
    return "json"


def _image_json(survey: Survey, *, checked: bool) -> dict[str, Any]:
    carried = survey.carried
    return {
        "reference": str(carried.reference),
        "digest": str(carried.root),
        "checked": checked,
        "size": survey.size,
        "found": [
            {"kind": found.form, "digest": str(found.digest), "subject": str(lookup.manifest)}
            for lookup in carried.lookups
            for found in lookup.found
        ],
    }
