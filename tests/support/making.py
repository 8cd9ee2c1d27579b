"""How a bundle is made, so that each step of it can be changed: keys, what a registry holds, and the parts of a bundle.

The same parts give the same bytes each time: the bundle vectors and the hostile bundles are made of them.
"""

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bundler import strictjson
from bundler.bundle import composition, frames, seal, tar
from bundler.bundle.seal import SEAL, ImageEntry, Kind, Member
from bundler.bundle.sealenvelope import preauthentication, sealed
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form, Found, Lookup, looked_up
from bundler.oci.manifest import Document, Manifest, platform_in
from bundler.oci.reference import Reference

ROOT = Path(__file__).parents[1] / "vectors"
CREATED = "2024-01-01T00:00:00Z"
EPOCH = 1704067200
REPOSITORY = "registry.example/app"
APP = f"{REPOSITORY}:v1"
LAYER = "application/vnd.oci.image.layer.v1.tar"
SIGNATURE = "dev.cosignproject.cosign/signature"

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def key(name: str) -> Key:
    found = serialization.load_pem_private_key((ROOT / f"keys/{name}.key").read_bytes(), None)
    if not isinstance(found, Key):
        raise TypeError(name)
    return found


def public(name: str) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key(name).public_key().public_bytes(serialization.Encoding.PEM, form)


def sign(name: str, message: bytes) -> bytes:
    """The same signature each time: RFC 6979, or PKCS #1 v1.5."""
    private = key(name)
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def sign_payload(name: str, payload: bytes) -> bytes:
    return sign(name, preauthentication(len(payload)) + payload)


# --- images ---


@dataclass
class World:
    """What a registry holds: content by digest, and tags by repository."""

    content: dict[Digest, bytes] = field(default_factory=dict)
    documents: dict[Digest, Document] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)

    def blob(self, data: bytes, media_type: str) -> Descriptor:
        self.content[Digest.of(data)] = data
        return Descriptor.of(data, media_type)

    def document(self, members: Mapping[str, Any]) -> Document:
        return self.raw(strictjson.dumps({"schemaVersion": 2, **members}))

    def raw(self, raw: bytes) -> Document:
        made = Document.parse(raw)
        self.content[made.digest] = raw
        self.documents[made.digest] = made
        return made

    def manifest(self, config: Descriptor, layers: Iterable[Descriptor], **members: Any) -> Document:
        listed = {"config": config.to_json(), "layers": [layer.to_json() for layer in layers]}
        return self.document({"mediaType": mediatype.OCI_MANIFEST, **listed, **members})

    def image(self, words: str, platform: str = "linux/amd64", *more: Descriptor, docker: bool = False) -> Document:
        """An image of one layer, in which the file ``words`` holds these words; and of ``more`` layers."""
        told = Platform.parse(platform)
        packed = tar_of("words", f"{words} for {platform}\n".encode())
        config = {"architecture": told.architecture, "os": told.os, "config": {"Cmd": ["/words"]}}
        config |= {"rootfs": {"type": "layers", "diff_ids": [str(Digest.of(packed)), *(str(layer.digest) for layer in more)]}}
        return self.manifest(
            self.blob(strictjson.dumps(config), mediatype.DOCKER_CONFIG if docker else mediatype.OCI_CONFIG),
            (self.blob(packed, "application/vnd.docker.image.rootfs.diff.tar" if docker else LAYER), *more),
            mediaType=mediatype.DOCKER_MANIFEST if docker else mediatype.OCI_MANIFEST,
        )

    def index(self, *children: Document | tuple[Document, str], **members: Any) -> Document:
        listed = [
            child.descriptor.to_json()
            if isinstance(child, Document)
            else child[0].descriptor.to_json() | {"platform": Platform.parse(child[1]).to_json()}
            for child in children
        ]
        return self.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed, **members})

    def multi(self, words: str) -> Document:
        platforms = ("linux/amd64", "linux/arm64")
        return self.index(*((self.image(words, platform), platform) for platform in platforms))

    def artifact(self, data: bytes, kind: str, **members: Any) -> Document:
        empty = self.blob(b"{}", mediatype.EMPTY)
        return self.manifest(empty, (self.blob(data, kind),), artifactType=kind, **members)

    def signed(self, document: Document, *, repository: str = REPOSITORY, by: str = "release", about: Digest | None = None) -> Document:
        """The document, with cosign's signature on it."""
        critical = {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": str(about or document.digest)},
            "type": "cosign container image signature",
        }
        payload = strictjson.dumps({"critical": critical, "optional": None})
        layer = self.blob(payload, mediatype.SIMPLE_SIGNING)
        annotation = {SIGNATURE: base64.b64encode(sign(by, payload)).decode()}
        self.tag(repository, document.digest, "sig", self.tagged(replace(layer, annotations=annotation)))
        return document

    def tagged(self, *layers: Descriptor) -> Document:
        """A manifest as cosign makes it for what it tags."""
        config = {"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}}
        return self.manifest(self.blob(strictjson.dumps(config), mediatype.OCI_CONFIG), layers)

    def tag(self, repository: str, subject: Digest, form: str, document: Document) -> None:
        self.tags[f"{repository}:{subject.tag}.{form}"] = document.digest

    def lookups(self, repository: str) -> Iterator[Lookup]:
        for digest in self.documents:
            tagged = {form: self.tags.get(f"{repository}:{digest.tag}.{form}") for form in ("sig", "att", "sbom")}
            referring = [d.digest for d in self.documents.values() if d.subject is not None and d.subject.digest == digest]
            asked = {form: "absent" if at is None else "found" for form, at in tagged.items()}
            asked |= {"referrers": "found" if referring else "absent", "fallback": "absent"}
            found = [Found(at, Form(form)) for form, at in tagged.items() if at is not None]
            yield Lookup(repository, digest, asked, (*found, *(Found(each, Form.REFERRER) for each in referring)))

    def platforms(self, root: Document) -> list[str]:
        """What the config of a single manifest says."""
        if not isinstance(root.content, Manifest) or not root.content.tells_platform:
            return []
        return [str(platform) for platform in platform_in(self.content[root.content.config.digest])]

    def lookup(self, digest: Digest, media_type: str | None) -> Document:
        return Document.parse(self.content[digest], media_type=media_type, digest=digest)

    def parts(
        self,
        images: Mapping[str, Document],
        *,
        left_out: Iterable[Document] = (),
        absent: Iterable[Descriptor] = (),
        elsewhere: Iterable[Descriptor] = (),
        trust: Iterable[bytes] = (),
        platforms: Sequence[str] | None = None,
        **told: Any,
    ) -> "Parts":
        """What an honest exporter makes of these images; ``told`` are fields of the predicate."""
        references = {Reference.parse(name): root for name, root in images.items()}
        gone = {d.digest for d in left_out}
        lookups = [each for repository in dict.fromkeys(r.repository for r in references) for each in self.lookups(repository)]
        entries = [
            composition.entry(
                reference,
                root,
                self.lookup,
                left_out=gone,
                platforms=self.platforms(root) if platforms is None else platforms,
                lookups=looked_up(lookups),
            )
            for reference, root in references.items()
        ]
        files = {f"{seal.TRUST}{Digest.of(data).encoded}.pub": data for data in trust}
        made = composition.compose(
            entries,
            lookups,
            self.lookup,
            trust=[Member(Kind.TRUST, len(data), Digest.of(data), name) for name, data in files.items()],
            absent={layer.digest for layer in absent},
            elsewhere={layer.digest for layer in elsewhere},
        )
        return Parts.of(entries, made, {**files, **self.files()}, told)

    def files(self) -> dict[str, bytes]:
        return {seal.BLOBS + digest.encoded: data for digest, data in self.content.items()}


def tar_of(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        packed.addfile(member, io.BytesIO(data))
    return buffer.getvalue()[: tar.record(len(data)) + len(tar.END)]


# --- bundles, and every place where one can be spoilt ---

Value = dict[str, Any]


@dataclass(frozen=True)
class Parts:
    """All that a bundle is made of; each step of making it can be changed."""

    predicate: Value
    members: tuple[Member, ...]
    files: Mapping[str, bytes]
    keys: tuple[str, ...] = ("sealer",)
    mtime: int = 0
    statement: Callable[[Value], Value] = lambda statement: statement
    payload: Callable[[bytes], bytes] = lambda payload: payload
    """Before it is signed."""
    envelope: Callable[[bytes], bytes] = lambda envelope: envelope
    records: Callable[[list[bytes]], list[bytes]] = lambda records: records
    end: bytes = tar.END
    contents: Callable[[list[bytes]], list[bytes]] = lambda contents: contents
    frames: Callable[[list[bytes]], list[bytes]] = lambda frames: frames
    sizes: Callable[[list[tuple[int, int]]], list[tuple[int, int]]] = lambda sizes: sizes
    table: Callable[[bytes], bytes] = lambda table: table
    whole: Callable[[bytes], bytes] = lambda whole: whole

    @classmethod
    def of(
        cls, entries: Sequence[ImageEntry], made: composition.Composition, files: Mapping[str, bytes], told: Mapping[str, Any]
    ) -> "Parts":
        predicate = {
            "format": 1,
            "stream": "default",
            "sequence": EPOCH * 1000,
            "previous": None,
            "station": None,
            "base": [str(Digest.of(b"earlier"))] if made.elsewhere else [],
            "requires_trust": None,
            "created": CREATED,
            "expires": None,
            "checked_with": None,
            "images": [image.to_json() for image in entries],
            "members": [member.to_json() for member in made.members],
            "lookups": [lookup.to_json() for lookup in made.lookups],
            "left_out": [foreign.to_json() for foreign in made.left_out],
            "elsewhere": [each.to_json() for each in made.elsewhere],
            **told,
        }
        return cls(predicate, made.members, {**files, **made.derived})

    def saying(self, **told: Any) -> "Parts":
        return replace(self, predicate={**self.predicate, **told})

    def editing(self, field_of: str, edit: Callable[[list[Any]], object]) -> "Parts":
        """With one of the lists of the predicate edited in place."""
        edited = json.loads(json.dumps(self.predicate[field_of]))
        edit(edited)
        return self.saying(**{field_of: edited})

    def holding(self, name: str, data: bytes) -> "Parts":
        """With this member's bytes instead, truthfully listed."""
        changed = tuple(replace(m, size=len(data), digest=Digest.of(data)) if m.path == name else m for m in self.members)
        parts = replace(self, members=changed, files={**self.files, name: data})
        return parts.saying(members=[member.to_json() for member in changed])

    def listing(self, members: Iterable[Member], files: Mapping[str, bytes] | None = None) -> "Parts":
        """With these members instead, in this order, truthfully listed."""
        changed = tuple(members)
        parts = replace(self, members=changed, files={**self.files, **(files or {})})
        return parts.saying(members=[member.to_json() for member in changed])

    def signed(self) -> bytes:
        index = next((each["sha256"] for each in self.predicate.get("members", ()) if each.get("kind") == "index"), "0" * 64)
        statement = self.statement(seal.statement(self.predicate, Digest("sha256", index)))
        payload = self.payload(strictjson.dumps(statement))
        return self.envelope(sealed(payload, [sign_payload(name, payload) for name in self.keys]))

    def file(self) -> bytes:
        envelope = self.signed()
        pairs = [(SEAL, envelope), *((member.path, self.files[member.path]) for member in self.members)]
        records = self.records([record(name, data, mtime=self.mtime) for name, data in pairs])
        blobs = [member.kind is Kind.BLOB for member in self.members] + [False] * len(records)
        plan = list(frames.runs(len(records[0]), zip(map(len, records[1:]), blobs, strict=False), len(self.end)))
        stream = b"".join(records) + self.end
        cuts = [(run.start + number * frames.FRAME, run.content(frame)) for run in plan for number, frame in enumerate(run.frames)]
        contents = self.contents([stream[start : start + size] for start, size in cuts])
        compressed = self.frames([frames.compress(content) for content in contents])
        sizes = self.sizes([(len(frame), len(content)) for frame, content in zip(compressed, contents, strict=True)])
        return self.whole(b"".join(compressed) + self.table(frames.table(sizes)))


def record(name: str, data: bytes, *, mtime: int = 0) -> bytes:
    return tar.header(name, len(data), mtime=mtime) + data + bytes(tar.padding(len(data)))


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def at(number: int, edit: Callable[[bytes], bytes]) -> Callable[[list[bytes]], list[bytes]]:
    """Change one of a list of records, contents or frames."""

    def edited(items: list[bytes]) -> list[bytes]:
        number_of = number % len(items)
        return [*items[:number_of], edit(items[number_of]), *items[number_of + 1 :]]

    return edited


def base() -> Parts:
    """One image with one signature, and the key that sealed it."""
    world = World()
    return world.parts({APP: world.signed(world.image("hello"))}, trust=[public("sealer")])


def contents_of(parts: Parts) -> list[bytes]:
    """The tar, as it is cut into frames."""
    kept: list[bytes] = []

    def keep(contents: list[bytes]) -> list[bytes]:
        kept.extend(contents)
        return contents

    replace(parts, contents=keep).file()
    return kept


def path_of(parts: Parts, kind: Kind, number: int = 0) -> str:
    return [member.path for member in parts.members if member.kind is kind][number]


def content_of(parts: Parts, name: str, data: bytes) -> Parts:
    """The tar holds these bytes under that name; the seal is as before."""
    number = 1 + next(number for number, member in enumerate(parts.members) if member.path == name)
    return replace(parts, records=at(number, lambda before: before[:512] + data + before[512 + len(data) :]))


SKIPPABLE = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"junk"
LAST = -2  # the last frame but the end: that of the layer
MAGIC = b"\x28\xb5\x2f\xfd"


def by_hand(content: bytes, *, descriptor: int = 0xA4, blocks: bytes | None = None, checksum: bool = True, window: bytes = b"") -> bytes:
    """A frame of one raw block, every field of which can be another. 0xA4: content size in 4 bytes, single segment, checksum."""
    length = (1, 2, 4, 8)[descriptor >> 6]
    size = len(content).to_bytes(length, "little") if descriptor & 0xE0 else b""
    body = (1 | len(content) << 3).to_bytes(3, "little") + content if blocks is None else blocks
    return MAGIC + bytes([descriptor]) + window + size + body + (frames.compress(content)[-4:] if checksum else b"")


def spoilt(edit: Callable[[bytes], bytes]) -> Parts:
    """The base with the layer's frame made by ``edit`` from its content."""
    content = contents_of(base())[LAST]
    return replace(base(), frames=at(LAST, lambda _: edit(content)))


def header(edit: Callable[[tarfile.TarInfo], object], *, number: int = -1) -> Parts:
    """The base with another header for one record."""

    def edited(before: bytes) -> bytes:
        told = tarfile.TarInfo.frombuf(before[:512], "utf-8", "surrogateescape")
        edit(told)
        return told.tobuf(tarfile.USTAR_FORMAT) + before[512:]

    return replace(base(), records=at(number, edited))


def patched(start: int, field_of: bytes, *, number: int = -1) -> Parts:
    """The base with these bytes in a header, and its checksum mended."""

    def edited(before: bytes) -> bytes:
        block = before[:start] + field_of + before[start + len(field_of) : 512]
        checksum = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:]))
        return block[:148] + checksum + block[156:] + before[512:]

    return replace(base(), records=at(number, edited))
