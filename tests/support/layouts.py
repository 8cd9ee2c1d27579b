"""Images of every form that travels, as bytes by digest; and image layouts and repositories filled with them.

What is made follows from the words given alone: the same words give the same digests. Nothing here signs: whoever
wants a signature brings its bytes.

    content = Content()
    image = content.index("hello")
    content.sig(image.digest, (payload, signature))      # its tag is in content.tags
    write_layout(folder, content, {"registry.example/app:v1": image})
"""

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundler.content.store import Sink
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
SBOM = "application/spdx+json"
PLATFORMS = ("linux/amd64", "linux/arm64")
REF_NAME = "org.opencontainers.image.ref.name"
SIGNATURE = "dev.cosignproject.cosign/signature"
OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass
class Content:
    """Blobs and documents by digest, as they are made; ``tags`` are the names that evidence wants to be found by.

    A tag of one repository alone begins with its name and a colon.
    """

    blobs: dict[Digest, bytes] = field(default_factory=dict)
    documents: dict[Digest, Document] = field(default_factory=dict)
    tags: dict[str, Document] = field(default_factory=dict)

    # --- the parts ---

    def blob(self, data: bytes, media_type: str = "application/octet-stream", *, algorithm: str = "sha256") -> Descriptor:
        """Any bytes, as what they are said to be."""
        digest = Digest.of(data, algorithm=algorithm)
        self.blobs[digest] = data
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    def document(self, members: Mapping[str, Any], *, algorithm: str = "sha256") -> Document:
        """A manifest or an index with these members, ``schemaVersion`` before them."""
        return self.raw(self.spelt({"schemaVersion": 2, **members}), algorithm=algorithm)

    def raw(self, raw: bytes, *, algorithm: str = "sha256") -> Document:
        """A document of these very bytes."""
        document = Document.parse(raw, digest=Digest.of(raw, algorithm=algorithm))
        self.documents[document.digest] = document
        return document

    # --- images ---

    def image(
        self,
        words: str = "words",
        platform: str = "linux/amd64",
        *,
        docker: bool = False,
        layers: Iterable[Descriptor] | None = None,
        more: Iterable[Descriptor] = (),
        foreign: bool = False,
        annotations: Mapping[str, str] | None = None,
        algorithm: str = "sha256",
        runs: Mapping[str, Any] | None = None,
    ) -> Document:
        """An image of one small layer holding the file ``words``, or of ``layers``, and of ``more``.

        ``foreign`` adds a layer that is not there. ``runs`` is what its config says of how it runs, beside or in the place of
        what every one says.
        """
        told = Platform.parse(platform)
        listed = list(layers) if layers is not None else [self.layer(words, platform, docker=docker, algorithm=algorithm)]
        listed += more
        if foreign:
            base = b"base layer of " + words.encode()
            listed.append(Descriptor(FOREIGN_LAYER, Digest.of(base), len(base), urls=("https://vendor.example/base",)))
        config = {
            "architecture": told.architecture,
            "os": told.os,
            "config": self.run_by(words) | dict(runs or {}),
            "rootfs": {"type": "layers", "diff_ids": [str(self.diff_id(layer)) for layer in listed]},
        }
        return self.manifest(
            self.blob(self.spelt(config), mediatype.DOCKER_CONFIG if docker else mediatype.OCI_CONFIG, algorithm=algorithm),
            listed,
            media_type=mediatype.DOCKER_MANIFEST if docker else mediatype.OCI_MANIFEST,
            annotations=annotations,
            algorithm=algorithm,
        )

    def diff_id(self, layer: Descriptor) -> Digest:
        """The digest of the layer's tar (image-spec, config.md, "Layer DiffID"); its own where the layer is not there."""
        data = self.blobs.get(layer.digest)
        if data is None:
            return layer.digest
        return Digest.of(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)

    def layer(self, words: str, platform: str = "linux/amd64", *, docker: bool = False, algorithm: str = "sha256") -> Descriptor:
        """A gzip-compressed layer in which the file ``words`` holds these words and the platform."""
        packed = gzip.compress(tar_of({"words": f"{words} for {platform}\n".encode()}), mtime=0)
        return self.blob(packed, DOCKER_LAYER if docker else LAYER, algorithm=algorithm)

    def manifest(
        self,
        config: Descriptor,
        layers: Iterable[Descriptor],
        *,
        media_type: str = mediatype.OCI_MANIFEST,
        artifact_type: str | None = None,
        subject: Document | Descriptor | None = None,
        annotations: Mapping[str, str] | None = None,
        algorithm: str = "sha256",
    ) -> Document:
        """An image manifest over these parts."""
        members: dict[str, Any] = {"mediaType": media_type}
        members |= {"artifactType": artifact_type} if artifact_type else {}
        members |= {"config": config.to_json(), "layers": [layer.to_json() for layer in layers]}
        return self.document(members | _subject(subject) | _annotations(annotations), algorithm=algorithm)

    def index(
        self,
        words: str = "words",
        platforms: Iterable[str] = PLATFORMS,
        *,
        docker: bool = False,
        children: Iterable[Document] | None = None,
        artifact_type: str | None = None,
        subject: Document | Descriptor | None = None,
        annotations: Mapping[str, str] | None = None,
        algorithm: str = "sha256",
    ) -> Document:
        """An index over one image for each platform, or over ``children``, which then name no platform."""
        if children is None:
            listed = [
                self.image(words, platform, docker=docker, algorithm=algorithm).descriptor.to_json()
                | {"platform": Platform.parse(platform).to_json()}
                for platform in platforms
            ]
        else:
            listed = [child.descriptor.to_json() for child in children]
        members: dict[str, Any] = {"mediaType": mediatype.DOCKER_INDEX if docker else mediatype.OCI_INDEX}
        members |= {"artifactType": artifact_type} if artifact_type else {}
        return self.document(members | {"manifests": listed} | _subject(subject) | _annotations(annotations), algorithm=algorithm)

    def nested(self, words: str = "words") -> Document:
        """An index over two indexes of two platforms each."""
        return self.index(children=[self.index(f"{words} one"), self.index(f"{words} two")])

    def with_buildkit(self, words: str = "words") -> Document:
        """An index as BuildKit writes it: each platform's attestation lies beside it, and names it."""
        images = [(self.image(words, platform), Platform.parse(platform)) for platform in PLATFORMS]
        listed = [image.descriptor.to_json() | {"platform": platform.to_json()} for image, platform in images]
        for image, _ in images:
            subject = {"name": "_", "digest": {image.digest.algorithm: image.digest.encoded}}
            statement = {"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2", "predicate": {}}
            layer = self.blob(json.dumps(statement | {"subject": [subject]}).encode(), "application/vnd.in-toto+json")
            config = {"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]}}
            beside = self.manifest(self.blob(json.dumps(config).encode(), mediatype.OCI_CONFIG), [layer])
            names = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(image.digest)}
            unknown = {"platform": {"architecture": "unknown", "os": "unknown"}}
            listed.append(beside.descriptor.to_json() | {"annotations": names} | unknown)
        return self.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed})

    # --- what is no image ---

    def chart(self, name: str = "chart", version: str = "0.1.0") -> Document:
        """A Helm chart as ``helm push`` stores it: the config is the chart's metadata."""
        metadata = json.dumps({"apiVersion": "v2", "name": name, "version": version}).encode()
        packed = gzip.compress(tar_of({f"{name}/Chart.yaml": metadata, f"{name}/values.yaml": b"replicas: 1\n"}), mtime=0)
        return self.manifest(
            self.blob(metadata, HELM_CONFIG),
            [self.blob(packed, HELM_CHART)],
            annotations={"org.opencontainers.image.title": name, "org.opencontainers.image.version": version},
        )

    def artifact(
        self,
        data: bytes = b"{}",
        artifact_type: str = SBOM,
        *,
        layer_type: str | None = None,
        subject: Document | Descriptor | None = None,
        annotations: Mapping[str, str] | None = None,
        algorithm: str = "sha256",
    ) -> Document:
        """An artifact with an empty config (image-spec, manifest.md, "Guidelines for Artifact Usage"); with ``subject``, a referrer."""
        return self.manifest(
            self.blob(b"{}", mediatype.EMPTY, algorithm=algorithm),
            [self.blob(data, layer_type or artifact_type, algorithm=algorithm)],
            artifact_type=artifact_type,
            subject=subject,
            annotations=annotations,
            algorithm=algorithm,
        )

    # --- what vouches for an image ---

    def sig(self, subject: Digest, *signed: tuple[bytes, bytes], annotations: Mapping[str, str] | None = None) -> Document:
        """cosign's ``.sig`` manifest: for each (simple-signing payload, signature) a layer."""
        layers = [
            _annotated(
                self.blob(payload, mediatype.SIMPLE_SIGNING),
                {SIGNATURE: base64.b64encode(signature).decode(), **(annotations or {})},
            )
            for payload, signature in signed
        ]
        return self.tag(f"{subject.tag}.sig", self.carrier(*layers))

    def att(self, subject: Digest, *envelopes: bytes) -> Document:
        """cosign's ``.att`` manifest: for each DSSE envelope a layer."""
        layers = [_annotated(self.blob(e, mediatype.DSSE), {SIGNATURE: ""}) for e in envelopes]
        return self.tag(f"{subject.tag}.att", self.carrier(*layers))

    def sbom(self, subject: Digest, data: bytes, media_type: str = "text/spdx+json") -> Document:
        """cosign's ``.sbom`` manifest, which nobody signed."""
        return self.tag(f"{subject.tag}.sbom", self.carrier(self.blob(data, media_type)))

    def bundle(self, subject: Document | Descriptor, bundle: bytes, *, predicate_type: str | None = None) -> Document:
        """A Sigstore bundle that refers to its subject, as cosign 3 stores it."""
        kind = "dsse-envelope" if predicate_type else "message-signature"
        told = {"dev.sigstore.bundle.content": kind, "org.opencontainers.image.created": "2026-01-01T00:00:00Z"}
        told |= {"dev.sigstore.bundle.predicateType": predicate_type} if predicate_type else {}
        return self.artifact(bundle, mediatype.SIGSTORE_BUNDLE_V03, subject=subject, annotations=told)

    def notation(self, subject: Document | Descriptor, envelope: bytes, *, cose: bool = False) -> Document:
        """A Notary Project signature that refers to its subject."""
        layer_type = "application/cose" if cose else "application/jose+json"
        told = {"io.cncf.notary.x509chain.thumbprint#S256": "[]"}
        return self.artifact(envelope, mediatype.NOTATION, layer_type=layer_type, subject=subject, annotations=told)

    def fallback(self, subject: Digest, *referrers: Document) -> Document:
        """The index at the referrers tag (distribution-spec, "Referrers Tag Schema")."""
        listed = [referrer.as_referrer.to_json() for referrer in referrers]
        return self.tag(subject.tag, self.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed}))

    def carrier(self, *layers: Descriptor) -> Document:
        """A manifest as cosign makes it for what it tags."""
        return self.manifest(self.blob(self.spelt(self.carrier_config(layers)), mediatype.OCI_CONFIG), layers)

    def tag(self, name: str, document: Document) -> Document:
        """Let it be found by that name."""
        self.tags[name] = document
        return document

    # --- how it is said, which a kind of content may say otherwise ---

    def spelt(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def run_by(self, words: str) -> dict[str, Any]:
        """What the config of an image says about running it."""
        return {"Cmd": ["/words"], "Labels": {"words": words}}

    def carrier_config(self, layers: Sequence[Descriptor]) -> dict[str, Any]:
        return {
            "architecture": "",
            "created": "0001-01-01T00:00:00Z",
            "history": [{"created": "0001-01-01T00:00:00Z"} for _ in layers],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]},
            "config": {},
        }

    # --- walking it ---

    def below(self, *roots: Document) -> list[Document]:
        """The roots and every document that they lead to, each once, parts before wholes."""
        order: dict[Digest, Document] = {}

        def walk(document: Document) -> None:
            for child in document.children:
                if child.digest in self.documents:
                    walk(self.documents[child.digest])
            order.setdefault(document.digest, document)

        for root in roots:
            walk(root)
        return list(order.values())

    def files(self, *roots: Document) -> dict[str, bytes]:
        """``blobs/ALGORITHM/HEX`` of all that the roots lead to, of everything where there are none."""
        documents = self.below(*roots) if roots else list(self.documents.values())
        wanted = {b.digest for d in documents for b in d.blobs} & set(self.blobs) if roots else set(self.blobs)
        contents = {digest: self.blobs[digest] for digest in wanted} | {d.digest: d.raw for d in documents}
        return {f"blobs/{digest.algorithm}/{digest.encoded}": contents[digest] for digest in sorted(contents)}


# --- where it can lie ---


def layout_files(
    content: Content,
    names: Mapping[str, Document] | None = None,
    *,
    unnamed: Iterable[Document] = (),
    everything: bool = True,
) -> dict[str, bytes]:
    """The files of an image layout by name: these documents listed, and beside what they lead to ``everything`` there is."""
    listed = [_annotated(document.descriptor, {REF_NAME: name}) for name, document in (names or {}).items()]
    listed += [
        Descriptor(d.descriptor.media_type, d.digest, d.descriptor.size, artifact_type=d.content.kind if d.subject else None)
        for d in unnamed
    ]
    roots = [*(names or {}).values(), *unnamed]
    index = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [d.to_json() for d in listed]}
    files = {"oci-layout": OCI_LAYOUT, "index.json": json.dumps(index).encode()}
    return files | (content.files() if everything else content.files(*roots))


def write_layout(folder: Path, content: Content, names: Mapping[str, Document] | None = None, *, unnamed: Iterable[Document] = ()) -> Path:
    """An image layout in ``folder``, holding all of ``content``, listing these documents."""
    for name, data in layout_files(content, names, unnamed=unnamed).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def push(sink: Sink, content: Content, document: Document, *, tag: str | None = None) -> Document:
    """Put ``document`` and all that it leads to into a repository, parts before wholes, the tag last."""
    below = content.below(document)
    for blob in {b.digest: b for d in below for b in d.blobs if b.digest in content.blobs}.values():
        sink.put(blob, once(content.blobs[blob.digest]))
    for each in below:
        sink.put_document(each, tag=tag if each is below[-1] else None)
    return document


def push_with_evidence(sink: Sink, content: Content, document: Document, *, tag: str | None = None) -> Document:
    """As :func:`push`, and whatever in ``content`` has a tag of its own or refers to something."""
    push(sink, content, document, tag=tag)
    for name, evidence in content.tags.items():
        push(sink, content, evidence, tag=name)
    for referrer in list(content.documents.values()):
        if referrer.subject is not None:
            push(sink, content, referrer)
    return document


def tar_of(files: Mapping[str, bytes], *, format: int = tarfile.USTAR_FORMAT) -> bytes:  # noqa: A002 - tarfile's word
    """A tar of regular files, in the order given, with nothing in it that changes from run to run."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def once(data: bytes) -> Callable[[], Any]:
    return lambda: iter([data] if data else [])


def _annotated(descriptor: Descriptor, annotations: Mapping[str, str]) -> Descriptor:
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, annotations=dict(annotations))


def _subject(subject: Document | Descriptor | None) -> dict[str, Any]:
    if subject is None:
        return {}
    return {"subject": (subject.descriptor if isinstance(subject, Document) else subject).to_json()}


def _annotations(annotations: Mapping[str, str] | None) -> dict[str, Any]:
    return {"annotations": dict(annotations)} if annotations else {}
