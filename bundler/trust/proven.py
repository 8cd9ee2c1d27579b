"""What is proven to be evidence. Everything else is treated as code, and needs a signature of its own.

A list of what is known to run is never complete: runtimes run manifests whose config is of any type, and unpack text that is
a tar as well. So the question is turned round. Evidence is a manifest of which every layer is carried and is shown, by its
bytes, to be of a form that people read and nothing unpacks. What its manifest, its config and its layers call themselves
plays no part.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Any

from bundler import strictjson
from bundler.errors import BundlerError, FormatError
from bundler.oci import graph
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import MAX_DOCUMENT, MAX_LAYERS, REFERENCE_DIGEST, REFERENCE_TYPE, Document, Manifest
from bundler.oci.platforms import is_attestation
from bundler.trust import formats
from bundler.trust.evidence import MAX_EVIDENCE
from bundler.trust.statement import TYPES, Statement
from bundler.trust.unverified import Binary

TAR_BLOCK = 512  # POSIX pax, "ustar Interchange Format": a header is one block
_HEAD = 1536  # bytes that tell what unpacks: the last magic, that of erofs, stands at 1024

# What begins with one of these, something unpacks. Only those that could begin a text or what a format has in bytes stand here: gzip, xz,
# lz4, wasm, ELF and the headers of zip hold control characters, zstd and compress hold bytes that are not UTF-8.
_MAGIC = (
    b"BZh",  # bzip2
    b"hsqs",  # squashfs, and its older and byte-swapped forms
    b"sqsh",
    b"hsqt",
    b"tqsh",
    b"shsq",
    b"qshs",
    b"070701",  # cpio: new ASCII, with a checksum, old ASCII, and binary in both byte orders
    b"070702",
    b"070707",
    b"\xc7\x71",
    b"\x71\xc7",
    b"!<arch>",  # ar, and so Debian's packages
    b"!<thin>",
    b"LZIP",
    b"LRZI",
    b"7z\xbc\xaf",
    b"xar!",
    b"-rom1fs-",
)
_EROFS_AT, _EROFS = 1024, b"\xe2\xe1\xf5\xe0"
_CONTROLS = bytes(byte for byte in (*range(0x20), 0x7F) if byte not in b"\t\n\r")
_DIGEST = len("sha256:") + 64  # the shortest that a runtime knows a layer by
NO_PLATFORM = Platform("unknown", "unknown")  # buildkit, attestation-storage.md: no runtime takes what an index lists so
_CHECKSUM = slice(148, 156)
_OCTAL, _BASE64 = re.compile(rb"[0-7]+"), re.compile(rb"[A-Za-z0-9+/]+")
_DIGITS64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


STATEMENT, JSON, TEXT = "in-toto statement", "JSON", "text"
"""As what a layer is proven that is of no signature format."""


def is_proven(chunks: Iterable[bytes]) -> bool:
    """Whether a layer that comes in these pieces is proven: text that nothing unpacks, or what a format knows as its own.

    What raises in ``chunks`` is raised here. Nothing is kept but the first bytes and what may be of such a format; pieces that come after
    the answer is known are not asked for.
    """
    pieces = iter(chunks)
    head = b""
    while len(head) < _HEAD and (piece := next(pieces, None)) is not None:
        head += piece
    if _unpacks(head):
        return False
    binary = _binary(head)
    return (binary.fits if binary else _is_text)(chain((head,), pieces))


def shape_of(payload: bytes) -> str | None:
    """The name of what a layer of at most MAX_EVIDENCE bytes is proven to be, by its bytes alone; None for what is not."""
    if not is_proven((payload,)):
        return None
    if (binary := _binary(payload)) is not None:
        return binary.name
    try:
        value = strictjson.loads(payload, limit=MAX_EVIDENCE, predicate=True)
    except FormatError:
        return TEXT
    return next((shape.name for each in formats.FORMATS for shape in each.shapes if shape.fits(value)), _unsigned(value))


def is_evidence(document: Document, proven: AbstractSet[Digest]) -> bool:
    """Whether it is a manifest whose layers are all among the ``proven`` ones; one without layers is."""
    return isinstance(document.content, Manifest) and all(layer.digest in proven for layer in document.content.layers)


def borrows(document: Document, named: Callable[[Descriptor], AbstractSet[str] | None]) -> bool:
    """Whether the config of a manifest could make others' layers its own, so that something runs of which it holds nothing.

    A runtime knows the layers that it has unpacked by their ``diff_ids``. containerd takes the one that a config names for the
    layer of that place, and does not look at what the manifest lists there: a text, under a config that names an image's
    layers, is that image with another command. So evidence names its own layers or none, as cosign and BuildKit do, whose
    layers are not packed. ``named`` gives the config's :func:`named_layers`, and is not asked of one that is too short for any.
    """
    manifest = document.content
    if not isinstance(manifest, Manifest) or manifest.config.size < _DIGEST:
        return False
    names = named(manifest.config) if manifest.config.size <= MAX_DOCUMENT else None
    return names is None or not names <= {str(layer.digest) for layer in manifest.layers}


def named_layers(raw: bytes) -> frozenset[str] | None:
    """What a config has in ``rootfs.diff_ids``; None for one that others may read otherwise, and for more than MAX_LAYERS names."""
    if not raw.lstrip(b" \t\r\n").startswith(b"{"):
        return frozenset()  # nothing takes it for the config of an image
    try:
        config = strictjson.loads(raw, limit=MAX_DOCUMENT, predicate=True)
    except FormatError:
        return None  # Go reads more than we do: names twice, for one
    names: set[str] = set()
    for ids in (ids for rootfs in _members(config, "rootfs") for ids in _members(rootfs, "diff_ids") if ids is not None):
        if not isinstance(ids, list) or len(ids) > MAX_LAYERS or not all(isinstance(each, str) for each in ids):
            return None
        names |= set(ids)
    return frozenset(names)


def is_about(document: Document, subject: Digest, form: Form) -> bool:
    """Whether evidence that was found for ``subject`` belongs to it.

    A tag says whose evidence it holds. A manifest with a subject says so itself: wherever it is pushed, it will be that
    one's, so it belongs to no other, by whatever tag it was found.
    """
    if document.subject is None:
        return form is not Form.REFERRER
    return document.subject.digest == subject


def attestations(documents: Mapping[Digest, Document], root: Digest, read: Callable[[Descriptor], bytes | None]) -> frozenset[Digest]:
    """The manifests below ``root`` that are BuildKit's attestations, and so need no signature where each platform needs one.

    Such a manifest stands in its index as of platform ``unknown/unknown``, as an attestation manifest of a sibling, wherever it
    is listed; and every layer of it, of at most MAX_EVIDENCE bytes, is an in-toto statement about that sibling. (BuildKit,
    ``docs/attestations/attestation-storage.md``.) ``read`` gives a layer, or None for one that is not carried.
    """
    listed: dict[Digest, set[Digest | None]] = {}
    for parent in graph.walk(filter(None, [documents.get(root)]), graph.listed_in(documents)).values():
        siblings = {str(child.digest): child for child in parent.children}
        for child in parent.children:
            listed.setdefault(child.digest, set()).add(_attested(child, siblings))
    return frozenset(
        digest
        for digest, about in listed.items()
        if None not in about and all(_states(documents.get(digest), documents.get(each), read) for each in about if each)
    )


def _attested(child: Descriptor, siblings: Mapping[str, Descriptor]) -> Digest | None:
    """Which sibling it says that it is an attestation of; None where its index lists it as anything else."""
    named = siblings.get(child.annotations.get(REFERENCE_DIGEST, ""))
    if not is_attestation(child) or child.platform != NO_PLATFORM:
        return None
    return named.digest if named is not None and REFERENCE_TYPE not in named.annotations else None


def _states(attestation: Document | None, sibling: Document | None, read: Callable[[Descriptor], bytes | None]) -> bool:
    """Whether each layer is a statement about the sibling. Without layers it states nothing."""
    if sibling is None or attestation is None or not isinstance(attestation.content, Manifest):
        return False
    layers = attestation.content.layers
    if not layers or borrows(attestation, lambda config: named_layers(read(config) or b"{")):
        return False
    return all(_is_statement(layer, sibling, read) for layer in layers)


def _is_statement(layer: Descriptor, sibling: Document, read: Callable[[Descriptor], bytes | None]) -> bool:
    payload = read(layer) if layer.size <= MAX_EVIDENCE else None
    if payload is None or not is_proven((payload,)):
        return False
    try:
        Statement.parse(payload).check_about(sibling)
    except BundlerError:
        return False
    return True


def _members(value: Any, name: str) -> list[Any]:
    """The members of that name in any case of letters, which is how Go reads JSON."""
    return [member for key, member in value.items() if key.casefold() == name] if isinstance(value, dict) else []


def _unsigned(value: Any) -> str:
    match value:
        case {"_type": str(of), "predicateType": _} if of in TYPES:
            return STATEMENT
    return JSON


def _binary(head: bytes) -> Binary | None:
    """As what the bytes begin that are not text."""
    return next((each.binary for each in formats.FORMATS if each.binary and head.startswith(each.binary.begins)), None)


def _is_text(chunks: Iterable[bytes]) -> bool:
    """UTF-8 without control characters but tab, line feed and carriage return."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            if len(chunk.translate(None, _CONTROLS)) != len(chunk):
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _unpacks(head: bytes) -> bool:
    return head.startswith(_MAGIC) or head[_EROFS_AT:].startswith(_EROFS) or _is_tar(head[:TAR_BLOCK])


def _is_tar(block: bytes) -> bool:
    """Whether a tar reader of any dialect takes the block for a header: its checksum fits, in one reading of its number.

    The sum is of all bytes, with spaces for the checksum itself; old writers took bytes for signed. POSIX writes it in octal;
    what may stand around the digits, readers do not agree about, so every run of digits is tried. GNU tar also reads numbers
    in base 256 and, as some of its old versions wrote them, in base 64.
    """
    if len(block) < TAR_BLOCK:
        return False
    field = block[_CHECKSUM]
    rest = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    unsigned = sum(rest)
    sums = {unsigned, abs(unsigned - 256 * sum(byte > 127 for byte in rest))}
    return not sums.isdisjoint(_readings(field))


def _readings(field: bytes) -> Iterator[int]:
    """What the field could say, whatever its sign."""
    for digits in _OCTAL.findall(field.replace(b"_", b"")):  # Python's int() passes over underscores
        yield from (int(digits[start:], 8) for start in range(len(digits)))
    for digits in _BASE64.findall(field):
        for start in range(len(digits)):
            number = 0
            for digit in digits[start:]:
                number = number * 64 + _DIGITS64.index(digit)
            yield number
    yield int.from_bytes(field[1:], "big")
    yield abs(int.from_bytes(field, "big", signed=True))
