"""MAN: manifests that are listed, signed and sealed as if they were good."""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bundler import strictjson
from bundler.errors import Code
from bundler.oci import mediatype
from tests.support import making
from tests.support.hostile import Cases, index_saying, manifest_saying, signed_by_all
from tests.support.layouts import PLAIN_LAYER
from tests.support.making import Parts, Plain

CASES = Cases()
IMAGE = Plain().image("hello")
VALUE: dict[str, Any] = json.loads(IMAGE.raw)
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"


def saying(number: str, words: str, code: Code | None, edit: Callable[[dict[str, Any]], Any]) -> None:
    CASES.add(f"MAN-{number}", words, code, lambda: manifest_saying(edit))


def spelt(number: str, words: str, code: Code, edit: Callable[[bytes], bytes]) -> None:
    """What parsers read differently, or not at all."""
    CASES.add(f"MAN-{number}", words, code, lambda: signed_by_all(edit(IMAGE.raw)))


def member(name: str, value: Any, *path: str | int) -> Callable[[dict[str, Any]], None]:
    """Sets a member of what is found by that path."""

    def edit(manifest: dict[str, Any]) -> None:
        at: Any = manifest
        for step in path:
            at = at[step]
        at[name] = value

    return edit


def layer(data: bytes, kind: str = PLAIN_LAYER, **config: Any) -> Parts:
    """A whole image with this as a further layer: what is in layers is no affair of a station."""
    plain = Plain()
    return plain.parts({making.APP: plain.signed(plain.image("hello", more=[replace(plain.blob(data, kind), **config)]))})


def both_roles() -> Parts:
    plain = Plain()
    blob = plain.blob(b"{}", mediatype.EMPTY)
    return plain.parts({making.APP: plain.signed(plain.manifest(blob, (blob,)))}, platforms=())


def no_layers() -> Parts:
    plain = Plain()
    return plain.parts({making.APP: plain.signed(plain.manifest(plain.blob(b"{}", mediatype.EMPTY), ()))}, platforms=())


LAYERS = ("layers", 0)

CASES.vector("MAN-001", "an image that is an index, too", "document-two-kinds")
CASES.vector("MAN-002", "a manifest that is said to be an index", "image-media-type-index")
saying("002", "a manifest that says it is an index", Code.FORMAT_MEDIA_TYPE, member("mediaType", mediatype.OCI_INDEX))
CASES.vector("MAN-003", "layers twice", "document-name-twice")
spelt("004", "config twice", Code.FORMAT_JSON, lambda raw: raw[:-1] + b',"config":{}}')
spelt("005", "layers, in another case", Code.FORMAT_JSON, lambda raw: raw[:-1] + b',"Layers":[]}')
CASES.vector("MAN-006", "a layer that is said to be a byte longer", "document-layer-size")
saying("007", "a config that is said to be a byte shorter", Code.CONTENT_SIZE, member("size", VALUE["config"]["size"] - 1, "config"))
saying("008", "a layer of 2^62 bytes", Code.FORMAT_MANIFEST, member("size", 1 << 62, *LAYERS))
saying("008", "a layer of 2^53 - 1 bytes", Code.CONTENT_SIZE, member("size", (1 << 53) - 1, *LAYERS))
saying("009", "a layer with URLs, which are carried and never followed", None, member("urls", ["http://169.254.169.254/"], *LAYERS))
CASES.vector("MAN-010", "a foreign layer that is not there, and nobody says so", "left-out-unsaid")
saying("011", "10,000 layers", Code.LIMIT_DOCUMENT, lambda value: value["layers"].extend(value["layers"] * 10_000))
saying("012", "no config", Code.FORMAT_MANIFEST, lambda value: {k: v for k, v in value.items() if k != "config"})
saying("013", "layers are null", Code.FORMAT_MANIFEST, member("layers", None))
CASES.vector("MAN-014", "a manifest of 5 MiB", "document-large")
saying(
    "015",
    "a subject that is not here: artifacts may have one",
    None,
    member("subject", {"mediaType": mediatype.OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 2}),
)
saying(
    "016",
    "a subject whose digest is a path",
    Code.FORMAT_DIGEST,
    member("subject", {"mediaType": mediatype.OCI_MANIFEST, "digest": "sha256:../../x", "size": 2}),
)


def config(data: bytes) -> Parts:
    """An image whose config is this; nobody here reads configs."""
    plain = Plain()
    return plain.parts(
        {making.APP: plain.signed(plain.manifest(plain.blob(data, mediatype.OCI_CONFIG), (plain.blob(b"layer", PLAIN_LAYER),)))}
    )


CASES.add("MAN-017", "a config that is not JSON: the runtime reads it, and nobody here", None, lambda: config(b"text"))
CASES.add("MAN-018", "a config with a name twice: the same", None, lambda: config(b'{"rootfs":1,"rootfs":2}'))
CASES.add(
    "MAN-019",
    "a diff_id too many: the same",
    None,
    lambda: config(strictjson.dumps({"rootfs": {"type": "layers", "diff_ids": ["a", "b"]}})),
)
CASES.add(
    "MAN-020",
    "a diff_id of something else: the same",
    None,
    lambda: config(strictjson.dumps({"rootfs": {"type": "layers", "diff_ids": [f"sha256:{'0' * 64}"]}})),
)
CASES.add(
    "MAN-021",
    "a layer that would be 64 MiB: layers are never opened",
    None,
    lambda: layer(gzip.compress(bytes(64 << 20), mtime=0), PLAIN_LAYER + "+gzip"),
)
CASES.add("MAN-022", "a layer that is not gzip: the same", None, lambda: layer(b"plain", PLAIN_LAYER + "+gzip"))
CASES.add(
    "MAN-023",
    "a layer with a window of 2 GiB: the same",
    None,
    lambda: layer(making.by_hand(b"x", descriptor=0x84, window=b"\xa8"), PLAIN_LAYER + "+zstd"),
)
CASES.add("MAN-024", "a layer with a path that leads out: the same", None, lambda: layer(making.one_file("../HOSTILE", b"x")))
CASES.add(
    "MAN-025",
    "a layer of two gzip members: the same",
    None,
    lambda: layer(gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0), PLAIN_LAYER + "+gzip"),
)
CASES.add(
    "MAN-026",
    "a layer with two tables of contents: the same",
    None,
    lambda: layer(
        b"x", annotations={"containerd.io/snapshot/stargz/toc.digest": "a", "io.github.containers.zstd-chunked.manifest-position": "b"}
    ),
)
saying("027", "a layer that embeds other bytes", Code.CONTENT_SIZE, member("data", base64.b64encode(b"other").decode(), *LAYERS))
saying(
    "027",
    "a layer that embeds other bytes of its size",
    Code.CONTENT_DIGEST,
    member("data", base64.b64encode(bytes(VALUE["layers"][0]["size"])).decode(), *LAYERS),
)
CASES.add("MAN-028", "one blob that is config and layer: artifacts have that", None, both_roles)


spelt("029", "a byte order mark", Code.FORMAT_JSON, lambda raw: b"\xef\xbb\xbf" + raw)
spelt("030", "NaN", Code.FORMAT_JSON, lambda raw: raw[:-1] + b',"x":NaN}')
spelt("031", "100,000 lists in lists", Code.FORMAT_JSON, lambda raw: raw[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
spelt("032", "half of a character", Code.FORMAT_JSON, lambda raw: raw[:-1] + b',"x":"\\udfff"}')
spelt("033", "another document behind it", Code.FORMAT_JSON, lambda raw: raw + raw)
CASES.vector("MAN-034", "Docker's schema 1", "document-schema1")
CASES.vector("MAN-035", "a layer whose digest is a path", "document-layer-digest")
saying("036", "a layer by MD5", Code.FORMAT_DIGEST, member("digest", "md5:" + "0" * 32, *LAYERS))
saying("037", "a layer whose media type has a line end", Code.FORMAT_MEDIA_TYPE, member("mediaType", "a/b\nX-Header: x", *LAYERS))
saying(
    "038", "a manifest whose media type has a line end", Code.FORMAT_MEDIA_TYPE, member("mediaType", mediatype.OCI_MANIFEST + "\r\nX: y")
)
saying("039", "an artifact type that speaks to a terminal", Code.FORMAT_MEDIA_TYPE, member("artifactType", "\x1b[31mred"))
saying("039", "an artifact type with a line end", Code.FORMAT_MEDIA_TYPE, member("artifactType", "a/b\nred"))
saying("040", "a size with a point", Code.FORMAT_MANIFEST, member("size", 123.0, *LAYERS))
CASES.add("MAN-041", "no layers: artifacts may have none", None, no_layers)
saying("042", "no schemaVersion", Code.FORMAT_MANIFEST, lambda value: {k: v for k, v in value.items() if k != "schemaVersion"})


CASES.add(
    "MAN-002",
    "an index whose child is said to be an index",
    Code.FORMAT_MEDIA_TYPE,
    lambda: index_saying(lambda value: value["manifests"][0].update(mediaType=mediatype.OCI_INDEX)),
)
