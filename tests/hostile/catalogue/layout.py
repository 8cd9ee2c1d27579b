"""LAY: the OCI layout. Sealed by whoever may seal, as a bundle; and as a folder on the connected side."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bundler import strictjson
from bundler.bundle.seal import BLOBS, Kind, Member
from bundler.errors import Code
from bundler.oci.digest import Digest
from tests.support import making
from tests.support.hostile import Cases, good_index, layout_of
from tests.support.making import Parts, base

CASES = Cases()
GOOD = strictjson.dumps(good_index())
LAYER, CONFIG, DOCUMENT = (making.path_of(base(), kind) for kind in (Kind.BLOB, Kind.CONFIG, Kind.DOCUMENT))
FILES = base().files
SMUGGLED = b"smuggled"


def bundle(number: str, words: str, code: Code, make: Callable[[], Parts]) -> None:
    CASES.add(f"LAY-{number}", words, code, make)


def folder(number: str, words: str, code: Code | None, index: bytes = GOOD, **files: bytes | None) -> None:
    """A folder with these files instead; a name is written with its place in ``PLACES``."""
    changed = {PLACES.get(name, name): data for name, data in files.items()}
    CASES.folder(f"LAY-{number}", f"{words}, in a folder", code, lambda: layout_of(index, changed))


PLACES = {"version": "oci-layout", "index_json": "index.json", "layer": LAYER, "config": CONFIG, "document": DOCUMENT}


def without(name: str) -> Parts:
    parts = base()
    return parts.listing(member for member in parts.members if member.path != name)


def other(name: str, data: bytes) -> Parts:
    """These bytes under that name, the seal telling the truth about them."""
    parts = base()
    members = [replace(m, size=len(data), digest=Digest.of(data), name=name) if m.path == name else m for m in parts.members]
    return parts.listing(members, {name: data})


def more(name: str, data: bytes) -> Parts:
    parts = base()
    return parts.listing([*parts.members, Member(Kind.BLOB, len(data), Digest.of(data), name)], {name: data})


def flipped(name: str) -> bytes:
    return bytes(making.flipped(FILES[name], len(FILES[name]) // 2))


bundle("001", "no oci-layout", Code.FORMAT_SEAL, lambda: without("oci-layout"))
folder("001", "no oci-layout", Code.FORMAT_LAYOUT, version=None)
bundle("002", "no index.json", Code.FORMAT_SEAL, lambda: without("index.json"))
folder("002", "no index.json", Code.FORMAT_LAYOUT, index_json=None)
CASES.vector("LAY-003", "another version of layouts", "derived-oci-layout")
for _number, _words, _data in (
    ("003", "another version of layouts", b'{"imageLayoutVersion":"2.0.0"}'),
    ("004", "oci-layout is not JSON", b"1.0.0"),
    ("005", "oci-layout is a list", b'["1.0.0"]'),
    ("006", "the version twice", b'{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"2.0.0"}'),
):
    bundle(_number, _words, Code.FORMAT_DERIVED, partial(base().holding, "oci-layout", _data))
    folder(_number, _words, Code.FORMAT_LAYOUT if _number in ("003", "005") else Code.FORMAT_JSON, version=_data)
CASES.vector("LAY-007", "no layer", "member-missing")
folder("007", "no layer", Code.BLOB_MISSING, layer=None)
CASES.vector("LAY-008", "no config", "member-config-missing")
folder("008", "no config", Code.BLOB_MISSING, config=None)
bundle("009", "no manifest", Code.CONTENT_MISSING, lambda: without(DOCUMENT))
folder("009", "no manifest", Code.BLOB_MISSING, document=None)
for _number, _words, _name in (("010", "layer", LAYER), ("011", "config", CONFIG), ("012", "manifest", DOCUMENT)):
    bundle(_number, f"one bit of the {_words}", Code.CONTENT_DIGEST, partial(other, _name, flipped(_name)))
    folder(_number, f"one bit of the {_words}", Code.CONTENT_DIGEST, **{_name: flipped(_name)})
CASES.vector("LAY-010", "one bit of the layer, against the seal", "content-layer")
CASES.vector("LAY-012", "one bit of the manifest, against the seal", "content-manifest")
for _number, _words, _data, _code in (
    ("013", "a layer that lacks its last byte", FILES[LAYER][:-1], Code.CONTENT_TRUNCATED),
    ("014", "a layer with a byte more", FILES[LAYER] + b"\0", Code.CONTENT_SIZE),
    ("015", "a layer of no bytes", b"", Code.CONTENT_TRUNCATED),
):
    bundle(_number, _words, Code.CONTENT_DIGEST, partial(other, LAYER, _data))
    folder(_number, _words, _code, layer=_data)
CASES.vector("LAY-016", "two contents have changed places", "content-exchanged")
folder("016", "config and layer have changed places", Code.CONTENT_SIZE, config=FILES[LAYER], layer=FILES[CONFIG])
CASES.vector("LAY-017", "a blob that nobody needs", "member-not-needed")
folder("017", "a blob that nobody needs is not carried", None, **{f"{BLOBS}{Digest.of(b'x').encoded}": b"x"})
for _number, _words, _name, _code in (
    ("018", "a blob of another digest", BLOBS + "0" * 64, Code.CONTENT_DIGEST),
    ("019", "a blob under md5", "blobs/md5/" + "0" * 32, Code.FORMAT_SEAL),
    ("020", "a blob under sha1", "blobs/sha1/" + "0" * 40, Code.FORMAT_SEAL),
    ("021", "a layer's digest in upper case", BLOBS + LAYER.removeprefix(BLOBS).upper(), Code.FORMAT_SEAL),
    ("022", "a digest of 63 digits", LAYER[:-1], Code.FORMAT_SEAL),
    ("023", "a digest with an ending", f"{BLOBS}{Digest.of(SMUGGLED).encoded}.tmp", Code.FORMAT_SEAL),
    ("024", "sha512 with 64 digits", LAYER.replace("sha256", "sha512"), Code.FORMAT_SEAL),
    ("025", "a folder below sha256", LAYER.replace("sha256/", "sha256/ab/"), Code.FORMAT_SEAL),
    ("027", "Docker's repositories", "repositories", Code.FORMAT_SEAL),
):
    bundle(_number, _words, _code, partial(more, _name, SMUGGLED))
CASES.vector("LAY-026", "a manifest.json that names another image", "derived-docker-other-image")
CASES.vector("LAY-026", "a manifest.json that names none", "derived-docker-empty")
CASES.vector("LAY-028", "no image at all", "images-none")
bundle(
    "028",
    "an index.json of nothing",
    Code.FORMAT_DERIVED,
    lambda: base().holding("index.json", strictjson.dumps({**good_index(), "manifests": []})),
)
CASES.folder(
    "LAY-028", "no image at all, in a folder", Code.IMAGE_MISSING, lambda: layout_of(strictjson.dumps({**good_index(), "manifests": []}))
)
bundle("029", "an index.json of 48 MiB", Code.FORMAT_DERIVED, lambda: base().holding("index.json", GOOD[:-1] + b" " * (48 << 20) + b"}"))
CASES.folder(
    "LAY-029",
    "an index.json of 48 MiB, in a folder",
    Code.LIMIT_DOCUMENT,
    lambda: layout_of(json.dumps(good_index()).encode() + b" " * (48 << 20)),
)
