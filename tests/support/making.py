"""How a bundle is made, so that each step of it can be changed: the vectors' keys and plain content, and the parts of a bundle.

The same parts give the same bytes each time: the bundle vectors and the hostile bundles are made of them.
"""

import base64
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from bundler import strictjson
from bundler.bundle import frames, seal, tar
from bundler.bundle.seal import SEAL, Kind, Member
from bundler.bundle.sealenvelope import sealed
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.bundles import Bundle, sign
from tests.support.layouts import PLAIN_LAYER, SIGNATURE, Content, tar_of
from tests.support.signing import Key, PrivateKey

ROOT = Path(__file__).parents[1] / "vectors"
EPOCH = 1704067200
REPOSITORY = "registry.example/app"
APP = f"{REPOSITORY}:v1"


def key(name: str) -> Key:
    """The key of that name among those of the vectors."""
    found = serialization.load_pem_private_key((ROOT / f"keys/{name}.key").read_bytes(), None)
    if not isinstance(found, PrivateKey):
        raise TypeError(name)
    return Key(name, found)


# --- images ---


class Plain(Content):
    """Images and evidence in as few words as there can be, spelt canonically: the vectors are made of them, and never change."""

    def spelt(self, value: Any) -> bytes:
        return strictjson.dumps(value)

    def run_by(self, words: str) -> dict[str, Any]:
        return {"Cmd": ["/words"]}

    def carrier_config(self, layers: Sequence[Descriptor]) -> dict[str, Any]:
        return {"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}}

    def diff_id(self, layer: Descriptor) -> Digest:
        return layer.digest

    def layer(self, words: str, platform: str = "linux/amd64", *, docker: bool = False, algorithm: str = "sha256") -> Descriptor:
        """Not compressed, and its tar ends with two blocks."""
        packed = one_file("words", f"{words} for {platform}\n".encode())
        return self.blob(packed, "application/vnd.docker.image.rootfs.diff.tar" if docker else PLAIN_LAYER, algorithm=algorithm)

    def signed(self, document: Document, *, repository: str = REPOSITORY, by: str = "release", about: Digest | None = None) -> Document:
        """The document, with cosign's signature on it."""
        critical = {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": str(about or document.digest)},
            "type": "cosign container image signature",
        }
        payload = self.spelt({"critical": critical, "optional": None})
        annotation = {SIGNATURE: base64.b64encode(key(by).sign(payload)).decode()}
        made = self.carrier(replace(self.blob(payload, mediatype.SIMPLE_SIGNING), annotations=annotation))
        self.tag(f"{document.digest.tag}.sig" if repository == REPOSITORY else f"{repository}:{document.digest.tag}.sig", made)
        return document

    def parts(
        self, images: Mapping[str, Document], *, absent: Iterable[Descriptor] = (), elsewhere: Iterable[Descriptor] = (), **told: Any
    ) -> "Parts":
        """The parts of :meth:`Bundle.of` these."""
        gone, far = [each.digest for each in absent], [each.digest for each in elsewhere]
        made = Bundle.of(self, images, absent=gone, elsewhere=far, sequence=EPOCH * 1000, **told)
        everything = {seal.BLOBS + d.encoded: data for d, data in (*self.blobs.items(), *((d, m.raw) for d, m in self.documents.items()))}
        return Parts(made.seal.predicate(), made.seal.members, {**everything, **made.files})


def one_file(name: str, data: bytes) -> bytes:
    return tar_of({name: data})[: tar.record(len(data)) + len(tar.END)]


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

    def naming(self, raw: bytes, *, for_: Digest) -> "Parts":
        """With ``raw`` in place of a document, under its own digest wherever that is named; index.json still says the old size."""
        new = Digest.of(raw)
        members = tuple(replace(m, size=len(raw), digest=new) if m.digest == for_ else m for m in self.members)
        told = json.loads(json.dumps(self.predicate).replace(for_.encoded, new.encoded))
        index = self.files["index.json"].replace(for_.encoded.encode(), new.encoded.encode())
        return replace(self, predicate=told).listing(members, {seal.BLOBS + new.encoded: raw}).holding("index.json", index)

    def indexing(self, number: int, **told: Any) -> "Parts":
        """With these members in an entry of index.json."""
        index = json.loads(self.files["index.json"])
        index["manifests"][number] |= told
        return self.holding("index.json", strictjson.dumps(index))

    def listing(self, members: Iterable[Member], files: Mapping[str, bytes] | None = None) -> "Parts":
        """With these members instead, in this order, truthfully listed."""
        changed = tuple(members)
        parts = replace(self, members=changed, files={**self.files, **(files or {})})
        return parts.saying(members=[member.to_json() for member in changed])

    def signed(self) -> bytes:
        index = next((each["sha256"] for each in self.predicate.get("members", ()) if each.get("kind") == "index"), "0" * 64)
        statement = self.statement(seal.statement(self.predicate, Digest("sha256", index)))
        payload = self.payload(strictjson.dumps(statement))
        return self.envelope(sealed(payload, [sign(payload, key(name)) for name in self.keys]))

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
    plain = Plain()
    return plain.parts({APP: plain.signed(plain.image("hello"))}, trust=[key("sealer").pem])


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
