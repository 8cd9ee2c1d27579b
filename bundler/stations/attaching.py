"""Saying beside each image that was let in that this station has verified it (docs/spec/receipt-v1.md, section 7).

By the rule of :mod:`bundler.stations.imagesigner`: in cosign's ``.att``, and in a Sigstore bundle too only where one refers to the
image. What others have put there is kept byte for byte, and each name is put once: registries may let no tag be moved.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from bundler import __version__, strictjson
from bundler.content.store import Sink
from bundler.content.stream import gathered
from bundler.errors import FormatError, IncompleteError, IntegrityError, TrustError
from bundler.ledger.summary import MAX_SUMMARY, PREDICATE_TYPE, Summary
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document, Manifest
from bundler.stations.carried import Carried
from bundler.stations.carriers import Carrier, Layer, bundled, bundles_about, listed
from bundler.stations.merging import merged
from bundler.stations.placing import Added, Placement, Tags
from bundler.stations.privatekeys import KeySigner
from bundler.stations.station import Station
from bundler.stations.verifier import Proved
from bundler.trust.dsse import Envelope
from bundler.trust.sigstore.bundle import bundle_of
from bundler.trust.simplesigning import SIGNATURE

MAX_LOOKED_AT = 64  # summaries and bundles beside one image: a request each, and the stations of one image are few

_PREDICATE = "predicateType"  # annotation of cosign's layers
_BUNDLE_PREDICATE = "dev.sigstore.bundle.predicateType"
_MAX_BUNDLE = 2 * MAX_SUMMARY
_UNREADABLE = (FormatError, IntegrityError, IncompleteError, TrustError)


@dataclass(frozen=True, slots=True)
class Attaching:
    """Makes what a :class:`bundler.stations.placing.Placer` puts beside each image. Threads may share it."""

    registry: str
    """The one that is filled."""
    verifier: str
    policy: str
    trust: Digest
    version: str
    at: datetime
    """When the images were judged."""
    signer: KeySigner
    """With the station's key."""
    content: Callable[[Descriptor], Iterator[bytes]]
    """Gives the bytes of what came."""
    _blobs: dict[Digest, bytes] = field(default_factory=dict, init=False, repr=False)
    _signed: dict[tuple[Digest, str], Envelope] = field(default_factory=dict, init=False, repr=False)
    """Each summary is signed once: an image may have many tags, and not every library signs alike twice."""

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of what came, and of what was made."""
        made = self._blobs.get(blob.digest)
        return self.content(blob) if made is None else iter((made,))

    def __call__(self, place: Placement, carried: Carried, evidence: Sequence[Document], tags: Tags) -> Added:
        """The evidence to put with what is said here, whose blobs are there; and the tags by which it is found.

        Raises TransportError, FormatError (``limit.document``), and what reading the bundle raises.
        """
        root, sink = carried.documents[carried.root], place.sink
        names = dict.fromkeys((f"{self.registry}/{place.path}", carried.reference.repository))
        summaries = [self._summary(root.digest, name) for name in names]
        listed_there, in_bundles = list(in_list(f"{root.digest.tag}.{Form.ATT}", sink)), list(_in_bundles(root.digest, sink))
        known = [*listed_there, *(envelope for envelope in in_bundles if envelope is not None)]
        missing = [self._envelope(summary, known) for summary in summaries if not self._is_said(summary, listed_there)]
        added = self._beside(root, evidence, tags, missing, sink)
        if in_bundles or any(_is_bundle_about(document, root.digest) for document in evidence):
            said = [envelope for envelope in in_bundles if envelope is not None]
            unsaid = [self._envelope(summary, known) for summary in summaries if not self._is_said(summary, said)]
            more = [self._put(self._bundle(envelope, root), sink) for envelope in unsaid]
            return Added((*added.evidence, *more), added.tags, added.remarks)
        return added

    def _beside(self, root: Document, evidence: Sequence[Document], tags: Tags, missing: Sequence[Envelope], sink: Sink) -> Added:
        """With a list of these summaries, joined to the list that came: so the tag is put once, on both."""
        if not missing:
            return Added(tuple(evidence), tags)
        annotations = {SIGNATURE: "", _PREDICATE: PREDICATE_TYPE}
        ours = self._put(listed([Layer(_spelled(envelope), mediatype.DSSE, annotations) for envelope in missing]), sink)
        name = (root.digest, Form.ATT)
        came = next((document for document in evidence if name in tags.get(document.digest, ())), None)
        if came is None:
            return Added((*evidence, ours), {**tags, ours.digest: [name]})
        joined = merged(came, ours, Form.ATT, lambda blob: gathered(blob, self.chunks(blob)))
        if joined is None:
            said = f"{root.digest.tag}.{Form.ATT} cannot take a summary beside what came for it; the summary is {ours.digest}"
            return Added((*evidence, ours), tags, (said,))
        if joined.config is not None:
            self._put(Carrier(joined.document, dict([joined.config])), sink)
        freed = {digest: [each for each in those if each != name] for digest, those in tags.items()}
        return Added((*evidence, joined.document), {**freed, joined.document.digest: [name]})

    def _summary(self, subject: Digest, repository: str) -> Summary:
        return Summary(
            verifier=self.verifier,
            policy=self.policy,
            trust=self.trust,
            version=self.version,
            time=self.at,
            subject=subject,
            repository=repository,
        )

    def _is_said(self, summary: Summary, envelopes: Iterable[Envelope]) -> bool:
        return any(summary.is_said_by(envelope, self.signer.public) for envelope in envelopes)

    def _envelope(self, summary: Summary, known: Iterable[Envelope]) -> Envelope:
        """One that is there in another form, else a new one."""
        there = next((envelope for envelope in known if summary.is_said_by(envelope, self.signer.public)), None)
        key = (summary.subject, summary.repository)
        return there or self._signed.get(key) or self._signed.setdefault(key, summary.signed(self.signer.sign))

    def _bundle(self, envelope: Envelope, root: Document) -> Carrier:
        return bundled(bundle_of(envelope, self.signer.public), root, predicate_type=PREDICATE_TYPE)

    def _put(self, carrier: Carrier, sink: Sink) -> Document:
        self._blobs.update({blob.digest: data for blob, data in carrier.blobs.items()})  # if the registry loses them, they are put again
        carrier.put_blobs(sink)
        return carrier.document


def attaching(station: Station, signer: KeySigner, proved: Proved, *, registry: str, at: datetime) -> Attaching:
    """For the images of a bundle that were ``proved`` as of ``at``, at a station whose key ``signer`` has."""
    folder, content = station.folder, proved.content
    assert folder is not None
    assert content is not None
    return Attaching(
        registry=registry,
        verifier=folder.profile.verifier,
        policy=folder.profile.policy,
        trust=station.trust.policy.digest,
        version=__version__,
        at=at,
        signer=signer,
        content=lambda blob: content.chunks(blob.digest),
    )


def in_list(tag: str, sink: Sink) -> Iterator[Envelope]:
    """What an image's ``.att``, which is ``tag``, has that could be a summary. Raises TransportError."""
    with suppress(FormatError):
        there = sink.document(tag)
        layers = there.content.layers if there is not None and isinstance(there.content, Manifest) else ()
        could_be = [layer for layer in layers if layer.size <= MAX_SUMMARY and layer.annotations.get(_PREDICATE) == PREDICATE_TYPE]
        for layer in could_be[-MAX_LOOKED_AT:]:
            with suppress(*_UNREADABLE):
                yield Envelope.parse(gathered(layer, sink.chunks(layer)))


def _in_bundles(subject: Digest, sink: Sink) -> Iterator[Envelope | None]:
    """What each bundle about the image holds, if that could be a summary."""
    looked_at = 0
    for descriptor in bundles_about(subject, sink):
        could_be = descriptor.annotations.get(_BUNDLE_PREDICATE, PREDICATE_TYPE) == PREDICATE_TYPE
        looked_at += could_be
        yield _in_bundle(descriptor, sink) if could_be and looked_at <= MAX_LOOKED_AT else None


def _in_bundle(descriptor: Descriptor, sink: Sink) -> Envelope | None:
    with suppress(*_UNREADABLE):
        there = sink.document(descriptor.digest)
        layers = there.content.layers if there is not None and isinstance(there.content, Manifest) else ()
        if len(layers) == 1 and layers[0].size <= _MAX_BUNDLE:
            match strictjson.loads(gathered(layers[0], sink.chunks(layers[0])), limit=_MAX_BUNDLE):
                case {"dsseEnvelope": envelope}:
                    return Envelope.of(envelope)
    return None


def _is_bundle_about(document: Document, subject: Digest) -> bool:
    refers = document.subject is not None and document.subject.digest == subject
    return refers and (document.content.kind or "").startswith(mediatype.SIGSTORE_BUNDLE)


def _spelled(envelope: Envelope) -> bytes:
    return strictjson.dumps(envelope.to_json())
