"""IDX: indexes, descriptors and references.

``index.json`` of a bundle is never read but compared with what the seal makes it, so each defect comes in two places that
are read: the image index of an image, signed and sealed as if it were good; and ``index.json`` of a folder to export.
"""

import base64
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from bundler import strictjson
from bundler.errors import Code
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from tests.support import making
from tests.support.hostile import Cases, good_index, index_saying, layout_of, signed_by_all
from tests.support.making import Parts, Plain, base

CASES = Cases()
Edit = Callable[[Any], Any]
ROOT = Plain().index("hello").raw
FOLDER = strictjson.dumps(good_index())
OTHER = str(Digest.of(b"other"))
NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


def spelt(number: str, words: str, edit: Callable[[bytes], bytes], code: Code = Code.FORMAT_JSON) -> None:
    """What parsers read differently, or not at all."""
    CASES.add(f"IDX-{number}", f"{words}, signed and sealed", code, lambda: signed_by_all(edit(ROOT), index=True))
    CASES.folder(f"IDX-{number}", f"{words}, in a folder", code, lambda: layout_of(edit(FOLDER)))


def sealed(number: str, words: str, code: Code, edit: Edit) -> None:
    """What the index of an image says."""
    CASES.add(f"IDX-{number}", f"{words}, signed and sealed", code, lambda: index_saying(edit))


def saying(number: str, words: str, code: Code, edit: Edit, *, folder: Code | None) -> None:
    """What an index says; ``folder`` is how a folder with it ends. Of ``index.json`` nothing is carried as it is."""

    def told() -> bytes:
        value = good_index()
        changed = edit(value)
        return strictjson.dumps(value if changed is None else changed)

    sealed(number, words, code, edit)
    CASES.folder(f"IDX-{number}", f"{words}, in a folder", folder, lambda: layout_of(told()))


def first(name: str, value: Any) -> Edit:
    """Another member of the first descriptor."""

    def edit(index: dict[str, Any]) -> None:
        index["manifests"][0][name] = value

    return edit


def versioned(version: object) -> Edit:
    return lambda index: index | {"schemaVersion": version}


def less(name: str) -> Edit:
    def edit(index: dict[str, Any]) -> None:
        del index["manifests"][0][name]

    return edit


def sized(text: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: re.sub(rb'"size":\d+', b'"size":' + text, raw, count=1)


def value(text: bytes) -> Callable[[bytes], bytes]:
    """A member more, of that value."""
    return lambda raw: raw[:-1] + b',"x":' + text + b"}"


def fan() -> Parts:
    plain = Plain()
    inner = plain.image("hello")
    for _ in range(7):
        inner = plain.index(children=[inner] * 10)
    return plain.parts({making.APP: plain.signed(inner)}, platforms=())


# --- JSON ---

spelt("001", "manifests twice", lambda raw: raw[:-1] + b',"manifests":[]}')
spelt("002", "a digest twice", lambda raw: raw.replace(b'"digest":', b'"digest":"%b","digest":' % OTHER.encode(), 1))
spelt("003", "a digest, in another case", lambda raw: raw.replace(b'"digest":', b'"Digest":"%b","digest":' % OTHER.encode(), 1))
spelt("004", "NaN", sized(b"NaN"))
spelt("005", "Infinity", sized(b"Infinity"))
spelt("006", "1e400", sized(b"1e400"))
spelt("007", "a number of 5,000 digits", sized(b"9" * 5000))
spelt("008", "a number of 4,000 digits", sized(b"9" * 4000))
spelt("009", "100,000 lists in lists", value(b"[" * 100_000 + b"]" * 100_000))
spelt("010", "900 objects in objects", value(b'{"x":' * 900 + b"0" + b"}" * 900))
spelt("011", "half of a character", value(b'"\\ud800"'))
spelt("012", "a byte that is not UTF-8", value(b'"\xff"'))
spelt("013", "half of a character in UTF-8", value(b'"\xed\xa0\x80"'))
spelt("014", "UTF-16", lambda raw: raw.decode().encode("utf-16"))
spelt("015", "UTF-32", lambda raw: raw.decode().encode("utf-32"))
spelt("016", "a byte order mark", lambda raw: b"\xef\xbb\xbf" + raw)
spelt("017", "a second document", lambda raw: raw + raw)
spelt("018", "comments", lambda raw: b"// x\n/* y */" + raw)
spelt("019", "a NUL in a string", value(b'"\0"'))
spelt("020", "a NUL in a string, spelt", value(b'"\\u0000"'))
spelt("021", "no bytes", lambda _: b"")
for _number, _words, _raw in (("022", "null", b"null"), ("023", "a list", b"[]"), ("024", "a string", b'"x"')):
    CASES.add(f"IDX-{_number}", f"{_words}, signed and sealed", Code.FORMAT_MANIFEST, partial(signed_by_all, _raw, index=True))
    CASES.folder(f"IDX-{_number}", f"{_words}, in a folder", Code.FORMAT_LAYOUT, partial(layout_of, _raw))

# --- what an index is ---

M, L, T = Code.FORMAT_MANIFEST, Code.FORMAT_LAYOUT, Code.FORMAT_MEDIA_TYPE
saying("025", "manifests are an object", M, lambda index: index | {"manifests": {}}, folder=L)
saying("026", "no manifests", M, lambda index: {"schemaVersion": 2, "mediaType": index["mediaType"]}, folder=L)
saying("027", "a descriptor is a string", M, lambda index: index | {"manifests": [OTHER]}, folder=M)
for _number, _words, _value in (
    ("028", "1", 1),
    ("029", "a string", "2"),
    ("031", "true", True),
    ("032", "null", None),
    ("033", "3", 3),
):
    saying(
        _number,
        f"schemaVersion is {_words}",
        Code.FORMAT_SCHEMA1 if _value in (1, True) else M,
        versioned(_value),
        folder=L,
    )
saying("030", "schemaVersion is 2.0", M, versioned(2.0), folder=L)
saying("034", "it says it is a manifest", T, lambda index: index | {"mediaType": mediatype.OCI_MANIFEST}, folder=L)
saying("035", "it has layers, too", M, lambda index: index | {"layers": [], "config": index["manifests"][0]}, folder=None)
CASES.vector("IDX-036", "indexes in indexes", "document-index-depth")
CASES.add("IDX-037", "7 indexes in indexes, each of which names the next ten times: it is walked once", None, fan)
sealed(
    "038", "100,000 descriptors of one image", Code.LIMIT_DOCUMENT, lambda index: index | {"manifests": index["manifests"][:1] * 100_000}
)
CASES.vector("IDX-039", "one name for two digests", "image-reference-twice")
CASES.vector("IDX-039", "one name for an image and a signature", "image-reference-evidence")


# --- references ---


def reference(number: str, words: str, code: Code, text: str, *, folder: Code = Code.USAGE_REFERENCE) -> None:
    told = lambda: base().editing("images", lambda images: images[0].update(reference=text))  # noqa: E731
    CASES.add(f"IDX-{number}", f"{words}, sealed", code, told)

    def named() -> dict[str, bytes]:
        index = good_index()
        index["manifests"][0]["annotations"] = dict.fromkeys(NAMES, text)
        return layout_of(strictjson.dumps(index))

    CASES.folder(f"IDX-{number}", f"{words}, in a folder", folder, named)


R = Code.FORMAT_REFERENCE
reference("040", "a reference that leads out", R, "../../../etc/x:1.0")
CASES.vector("IDX-041", "a reference to another registry", "seal-scope")
reference("042", "a repository in upper case", R, "registry.example/APP:1.0")
reference("043", "a reference of two lines", R, "registry.example/app:1.0\nregistry.example/root:1.0")
reference("044", "a reference that speaks to a terminal", Code.FORMAT_JSON, "registry.example/app:\x1b[31mred")
reference("045", "no reference", Code.FORMAT_SEAL, "")
reference("046", "a reference of 10,000 characters", R, "registry.example/app:" + "a" * 10_000)
reference("047", "a reference with another digest", Code.FORMAT_SEAL, f"registry.example/app@{OTHER}", folder=Code.IMAGE_MOVED)
reference("048", "a reference with a query", R, "registry.example/app?x=1#y:1.0")
reference("049", "a reference with a password", Code.FORMAT_DIGEST, "user:pass@registry.example/app:1.0")
reference("050", "a reference with an escaped slash", R, "registry.example/app%2f..%2fadmin:1.0")
reference("051", "a reference with a dot for a component", R, "registry.example/./app:1.0")
reference("052", "a host with a Cyrillic letter", R, "registry.ex\u0430mple/app:1.0")
reference("053", "a reference that looks like a flag", R, "-registry.example/app:1.0")

# --- descriptors ---

saying("054", "an annotation that is a number", M, first("annotations", {NAMES[0]: 5}), folder=M)
saying("055", "annotations that are a list", M, first("annotations", []), folder=M)
saying(
    "056",
    "an annotation of 5 MB",
    Code.LIMIT_DOCUMENT,
    first("annotations", {NAMES[0]: "registry.example/app:v1", "x": "x" * 5_000_000}),
    folder=None,
)
for _number, _name in (("057", "digest"), ("058", "size"), ("059", "mediaType")):
    saying(_number, f"no {_name}", M, less(_name), folder=M)
for _number, _words, _size in (
    ("060", "negative", -1),
    ("062", "true", True),
    ("063", "a string", "400"),
    ("064", "2^63", 1 << 63),
    ("068", "null", None),
    ("069", "a list", [400]),
):
    saying(_number, f"a size that is {_words}", M, first("size", _size), folder=M)
saying("061", "a size with a point", M, first("size", 400.0), folder=M)
for _number, _words, _more in (("065", "one more", 1), ("066", "one less", -1)):

    def _resized(index: dict[str, Any], more: int = _more) -> None:
        index["manifests"][0]["size"] += more

    saying(_number, f"a size that is {_words}", Code.CONTENT_SIZE, _resized, folder=Code.CONTENT_SIZE)
saying("067", "a size of 0", Code.CONTENT_SIZE, first("size", 0), folder=Code.CONTENT_SIZE)
GENUINE = json.loads(ROOT)["manifests"][0]["digest"]
HEX = GENUINE.partition(":")[2]
for _number, _words, _value in (
    ("071", "without digits", "sha256:"),
    ("072", "without an algorithm", HEX),
    ("073", "in upper case", f"sha256:{HEX.upper()}"),
    ("074", "of 63 digits", f"sha256:{HEX[:-1]}"),
    ("075", "of 65 digits", f"sha256:{HEX}0"),
    ("076", "with a line end", f"sha256:{HEX}\n"),
    ("077", "that is a path", "sha256:../../../../etc/passwd"),
    ("078", "whose algorithm is in upper case", f"SHA256:{HEX}"),
    ("079", "by MD5", "md5:8c15fd63ec90354bf70ded40afbc6dd2"),
    ("080", "by SHA-1", "sha1:" + "0" * 40),
    ("081", "by two algorithms", "sha256+b64:AAAA"),
    ("082", "in full-width digits", "sha256:" + "\uff10" * 64),
    ("083", "by SHA-512 with 64 digits", f"sha512:{HEX}"),
    ("084", "behind a space", f" sha256:{HEX}"),
    ("085", "with an escaped NUL", f"sha256:{HEX}%00"),
    ("086", "with a query", f"sha256:{HEX}?x=1"),
):
    saying(_number, f"a digest {_words}", Code.FORMAT_DIGEST, first("digest", _value), folder=Code.FORMAT_DIGEST)
saying("070", "an empty digest", M, first("digest", ""), folder=M)
saying("087", "a digest that is a number", M, first("digest", 5), folder=M)
CASES.elsewhere("IDX-088", "a descriptor with URLs: carried, never followed", "tests/hostile/catalogue/manifest.py")
saying(
    "089", "embedded bytes of another size", Code.CONTENT_SIZE, first("data", base64.b64encode(b"other").decode()), folder=Code.CONTENT_SIZE
)
CASES.add("IDX-089", "embedded bytes of another digest", Code.CONTENT_DIGEST, lambda: embedding(bytes))
CASES.add("IDX-090", "embedded bytes in another spelling", Code.FORMAT_MANIFEST, lambda: embedding(None))
sealed("091", "a media type that nobody knows", Code.FORMAT_SEAL, first("mediaType", "application/x-evil"))
sealed("092", "a media type with a parameter", Code.FORMAT_SEAL, first("mediaType", mediatype.OCI_MANIFEST + "; charset=utf-8"))
sealed("093", "a media type in upper case", Code.FORMAT_SEAL, first("mediaType", mediatype.OCI_MANIFEST.upper()))
sealed(
    "094", "a media type of schema 1", Code.FORMAT_SCHEMA1, first("mediaType", "application/vnd.docker.distribution.manifest.v1+prettyjws")
)
saying("095", "a manifest that is listed as an index", T, first("mediaType", mediatype.OCI_INDEX), folder=T)
saying("096", "a platform that is a string", M, first("platform", "linux/amd64"), folder=M)


def embedding(other: Callable[[int], bytes] | None) -> Parts:
    """The first child's bytes beside its descriptor: other ones, or the right ones with a bit of base64 that means nothing."""
    plain = Plain()
    root = plain.index("hello")
    child = plain.documents[root.children[0].digest].raw
    text = base64.b64encode(other(len(child)) if other else child).decode()
    if other is None:
        assert text.endswith("="), "choose other words, so that there are such bits"
        at = len(text.rstrip("=")) - 1
        text = text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :]
    index = json.loads(root.raw)
    index["manifests"][0]["data"] = text
    return signed_by_all(strictjson.dumps(index), index=True)
