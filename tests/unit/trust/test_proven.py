"""What is proven to be evidence, by its bytes alone."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator

import pytest
import zstandard

from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import MAX_DOCUMENT, MAX_LAYERS
from bundler.trust.proven import borrows, is_proven, named_layers, shape_of
from tests.support.cases import each
from tests.support.layouts import Content, tar_of
from tests.support.signing import Scene, att, bundle, dsse, signed, statement

ROOT = Scene.of_image().root
COSE = b"\xd2\x84\x43\xa1\x01\x26\xa0\x42{}\x41s"
TAR = tar_of({"evil": b"x"})
JWS = b'{"payload":"e30","protected":"e30","header":{"x5c":[]},"signature":"AA"}'


def is_one(data: bytes) -> bool:
    return is_proven((data,))


# --- what is ---

EVIDENCE = {
    "a simple signing payload": (signed(ROOT)[0], "simple signing"),
    "a DSSE envelope": (att(ROOT), "DSSE"),
    "a Sigstore bundle": (json.dumps(bundle(dsse(ROOT))).encode(), "Sigstore bundle"),
    "a Notation JWS": (JWS, "Notation JWS"),
    "a Notation COSE": (COSE, "Notation COSE"),
    "a statement": (statement(ROOT), "in-toto statement"),
    "a statement of another version": (b'{"_type":"https://x.example/S","predicateType":"x"}', "JSON"),
    "SPDX in JSON": (b'{"spdxVersion":"SPDX-2.3"}', "JSON"),
    "CycloneDX in JSON": (b'{"bomFormat":"CycloneDX"}', "JSON"),
    "a list": (b"[1, 2]", "JSON"),
    "an in-toto link": (b'{"signatures":[],"signed":{"_type":"link"}}', "JSON"),
    "SPDX in tags and values": (b"SPDXVersion: SPDX-2.3\r\nDataLicense: CC0-1.0\r\n", "text"),
    "CycloneDX in XML": (b'<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.5"/>', "text"),
    "text behind a byte order mark": (b"\xef\xbb\xbftext", "text"),
    "PGP clear text": (b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n\tapp\n", "text"),
    "words in many letters": ("Grüße, 世界, \U0001f512\n".encode(), "text"),
    "nothing": (b"", "text"),
    "a line for each object": (b"{}\n{}\n", "text"),
    "one block of spaces": (b" " * 512, "text"),
    "more than one block of digits": (b"0123456789" * 100, "text"),
}


@each(("data", "shape"), EVIDENCE.values(), ids=EVIDENCE)
def test_evidence_is_proven_whole_and_in_pieces(data: bytes, shape: str) -> None:
    assert shape_of(data) == shape
    assert is_proven(data[at : at + 1] for at in range(len(data)))


# --- what is not ---


def packed(module: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(module, b"x")
    return buffer.getvalue()


CODE = {
    "gzip": gzip.compress(TAR),
    "bzip2": bz2.compress(TAR),
    "xz": lzma.compress(TAR),
    "lzma": lzma.compress(TAR, format=lzma.FORMAT_ALONE),
    "zstd": zstandard.compress(TAR),
    "a zstd skippable frame": b"\x50\x2a\x4d\x18\x04\0\0\0text" + zstandard.compress(TAR),
    "lz4": b"\x04\x22\x4d\x18",
    "zip": packed("evil"),
    "the head of a bzip2 in text": b"BZh91AY&SY",
    "squashfs": b"hsqs and text",
    "squashfs of the other byte order": b"sqsh and text",
    "cpio": b"070701" + b"0" * 104,
    "cpio with checksums": b"070702" + b"0" * 104,
    "cpio of old": b"070707" + b"0" * 70,
    "binary cpio that is UTF-8": b"\x71\xc7\x80text",
    "ar": b"!<arch>\ntext",
    "thin ar": b"!<thin>\ntext",
    "lzip": b"LZIP\x01",
    "wasm": b"\0asm\x01\0\0\0",
    "ELF": b"\x7fELF",
    "tar": TAR,
    "NUL": b"text\0text",
    "an escape": b"\x1b[2J",
    "DEL in text": b"a\x7fb",
    "DEL in JSON": b'{"a":"\x7f"}',
    "a form feed": b"a\x0cb",
    "Latin-1": b"Gr\xfc\xdfe",
    "UTF-16": "text".encode("utf-16"),
    "a surrogate": b"\xed\xa0\x80",
    "a character that is cut": b"text\xc3",
    "COSE that is cut": COSE[:-1],
    "COSE and more": COSE + b"more",
    "COSE under another tag": b"\xd1" + COSE[1:],
    "COSE of five": b"\xd2\x85" + COSE[2:] + b"\x40",
    "COSE whose header is not a map": b"\xd2\x84\x41\x01\xa0\x42{}\x41s",
    "COSE whose header is not CBOR": b"\xd2\x84\x41\xff\xa0\x42{}\x41s",
    "COSE without a payload": b"\xd2\x84\x43\xa1\x01\x26\xa0\xf6\x41s",
    "CBOR of another kind": b"\xd2\x84\x01\x02\x03\x04",
}


@each("data", CODE.values(), ids=CODE)
def test_all_else_is_not_proven_whole_or_in_pieces(data: bytes) -> None:
    assert not is_one(data)
    assert shape_of(data) is None
    assert not is_proven(data[at : at + 7] for at in range(0, len(data), 7))


def test_a_cose_envelope_is_of_one_mebibyte_at_most() -> None:
    def envelope(size: int) -> bytes:
        beginning = b"\xd2\x84\x43\xa1\x01\x26\xa0\x5a"
        return beginning + (size - len(beginning) - 6).to_bytes(4, "big") + b" " * (size - len(beginning) - 6) + b"\x41s"

    assert len(envelope(1 << 20)) == 1 << 20
    assert is_one(envelope(1 << 20))
    assert not is_one(envelope((1 << 20) + 1))


def test_a_control_character_far_behind_is_found() -> None:
    assert is_one(b"text\n" * 100_000)
    assert not is_one(b"text\n" * 100_000 + b"\0")


def test_what_unpacks_is_not_read_to_its_end() -> None:
    def pieces() -> Iterator[bytes]:
        yield TAR * 2
        raise AssertionError("the rest was asked for")

    assert not is_proven(pieces())


def test_erofs_is_found_at_its_place() -> None:
    superblock = b"\xe2\xe1\xf5\xe0"
    envelope = b"\xd2\x84\x43\xa1\x01\x26\xa0\x59\x07\xd0" + b" " * 1014 + superblock + b" " * 982 + b"\x41s"
    assert not is_one(envelope)
    assert is_one(envelope.replace(superblock, b"    "))


# --- a tar that is text as well ---


def header(checksum: bytes, *, size: bytes = b"00000000000 ", fill: bytes = b"x") -> bytes:
    """A header of the oldest form whose fields are full, so that it has no NUL, but for the checksum's."""
    made = b"name" * 25 + b"0000755 " + b"0000000 " * 2 + size + b"00000000000 "
    return (made + checksum + b"0x" + fill * 400)[:512]


def total(block: bytes) -> int:
    return sum(block[:148] + b" " * 8 + block[156:])


def signed_total(block: bytes) -> int:
    return sum(byte - 256 if byte > 127 else byte for byte in block[:148] + b" " * 8 + block[156:])


BLANK = b" " * 8
SPELLINGS: dict[str, Callable[[int], bytes]] = {
    "six digits and a space": lambda number: b"%06o " % number + b" ",
    "seven digits and a space": lambda number: b"%07o " % number,
    "eight digits": lambda number: b"%08o" % number,
    "spaces first": lambda number: b"%8o" % number,
    "spaces behind": lambda number: b"%-8o" % number,
    "tab first": lambda number: b"\t%06o " % number,
    "a letter behind": lambda number: b"%06oz " % number,
    "a letter first": lambda number: b"z%06o " % number,
    "a digit that is not octal first": lambda number: b"9%06o " % number,
    "a plus": lambda number: b"+%06o " % number,
    "Python's octal": lambda number: b"0o%06o" % number,
    "Python's underscore": lambda number: b"%03o_%03o " % (number >> 9, number & 0x1FF),
    "something else before it": lambda number: b"1 %06o" % number,
}


@each("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_text_that_is_a_tar_header_is_not_proven_however_its_checksum_is_spelt(spell: Callable[[int], bytes]) -> None:
    block = header(spell(total(header(BLANK))))
    assert b"\0" not in block
    assert not is_one(block)
    assert not is_one(block + b"text" * 1000)
    assert is_one(header(spell(total(header(BLANK)) + 1)))


def test_a_checksum_of_signed_bytes_is_one_too() -> None:
    blank = header(BLANK, fill="é".encode())
    assert not is_one(header(b"%06o  " % total(blank), fill="é".encode()))
    assert not is_one(header(b"%06o  " % signed_total(blank), fill="é".encode()))
    assert is_one(header(b"%06o  " % (total(blank) - 256), fill="é".encode()))


def test_a_checksum_in_base_64_is_one_too() -> None:
    """As GNU tar 1.13.6 to 1.13.11 wrote large numbers."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    number = total(header(BLANK))
    spelt = "".join(digits[number >> shift & 63] for shift in (12, 6, 0)).encode()
    assert not is_one(header(b"+" + spelt + b"    "))


@pytest.mark.parametrize("first", [0x80, 0x00])
def test_a_checksum_in_base_256_is_one_in_what_may_be_binary(first: int) -> None:
    """Text cannot hold it; a COSE envelope could."""

    def envelope(checksum: bytes) -> bytes:
        inside = (b"\xd2\x84\x43\xa1\x01\x26\xa0\x59\x07\xd0".ljust(148) + checksum).ljust(2010)
        return inside + b"\x41s"

    number = total(envelope(BLANK)[:512])
    assert not is_one(envelope(bytes([first]) + number.to_bytes(7, "big")))
    assert is_one(envelope(bytes([first]) + (number + 1).to_bytes(7, "big")))


def test_a_negative_checksum_in_base_256_is_one_too() -> None:
    inside = b"\xd2\x84\x43\xa1\x01\x26\xa0\x59\x07\xd0".ljust(156, b"\x80").ljust(400, b"\x80").ljust(2010)
    blank = inside[:148] + BLANK + inside[156:] + b"\x41s"
    number = signed_total(blank[:512])
    assert number < 0
    assert is_one(blank)
    assert not is_one(blank.replace(BLANK, number.to_bytes(8, "big", signed=True), 1))


def test_a_byte_of_127_has_one_sign() -> None:
    inside = b"\xd2\x84\x43\xa1\x01\x26\xa0\x59\x07\xd0".ljust(156) + b"\x7f\x7f"
    blank = inside.ljust(2010) + b"\x41s"
    assert is_one(blank[:148] + b"%06o  " % (signed_total(blank[:512]) - 512) + blank[156:])


def test_less_than_a_block_is_not_a_tar_header() -> None:
    cut = header(BLANK)[:511]
    assert is_one(cut[:148] + b"%06o  " % total(cut) + cut[156:])


@each("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["ustar", "GNU", "pax"])
@each("name", ["evil", "e" * 100, "folder/" * 20 + "evil"], ids=["short", "full", "long"])
def test_what_tarfile_writes_is_not_proven(form: int, name: str) -> None:
    assert not is_one(tar_of({name: b"x"}, format=form))


# --- whose layers a config names ---

TEXT = b"SPDXVersion: SPDX-2.3\n"
OWN, OTHERS = (f"sha256:{hashlib.sha256(data).hexdigest()}" for data in (TEXT, TAR))


def borrowing(config: bytes, *, layers: int = 1, root: bool = False) -> bool:
    """Whether evidence of a text, under this config, could have others' layers; whatever the config's type is."""
    content = Content()
    made = content.manifest(content.blob(config, "application/vnd.example"), [content.blob(TEXT, "text/spdx")] * layers)
    return borrows(content.index(children=[made]) if root else made, lambda descriptor: named_layers(content.blobs[descriptor.digest]))


@each(
    "config",
    [
        b"{}",
        b"",
        b"words that are longer than any digest, and which nothing takes for the config of an image",
        b'["a list that is longer than any digest, and which nothing takes for the config of an image"]',
        b'{"rootfs":{"type":"layers","diff_ids":["%s"]}}' % OWN.encode(),
        b'{"rootfs":{"type":"layers","diff_ids":["%s","%s"]}}' % (OWN.encode(), OWN.encode()),
        b'{"rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"nothing of note"}]}',
        b'{"rootfs":{"type":"layers","diff_ids":null},"history":[{"created_by":"nothing of note"}]}',
        b'{"rootfs":null,"history":[{"created_by":"nothing of note, and then some words of it"}]}',
        b'{"annotations":{"base":"%s"}}' % OTHERS.encode(),
    ],
)
def test_a_config_that_names_its_own_layers_or_none_borrows_nothing(config: bytes) -> None:
    assert not borrowing(config)


@each(
    "config",
    [
        b'{"rootfs":{"diff_ids":["%s"]}}' % OTHERS.encode(),
        b' \t\r\n{"rootfs":{"diff_ids":["%s"]}}' % OTHERS.encode(),
        b'{"rootfs":{"diff_ids":["%s","%s"]}}' % (OWN.encode(), OTHERS.encode()),
        b'{"ROOTFS":{"Diff_IDs":["%s"]}}' % OTHERS.encode(),
        f'{{"rootfſ":{{"diff_idſ":["{OTHERS}"]}}}}'.encode(),
        b'{"rootfs":{"diff_ids":[]},"RootFS":{"diff_ids":["%s"]}}' % OTHERS.encode(),
        b'{"rootfs":{"diff_ids":[],"diff_ids":["%s"]}}' % OTHERS.encode(),
        b'{"rootfs":{"diff_ids":"%s"}}' % OTHERS.encode(),
        b'{"rootfs":{"diff_ids":["\\u0073%s"]}}' % OTHERS[1:].encode(),
        b'{"rootfs":{"diff_ids":[{"anything else":"in the place of a digest, which is not one of its layers"}]}}',
    ],
)
def test_a_config_that_names_others_or_that_readers_may_disagree_about_borrows(config: bytes) -> None:
    """Go takes names in any case of letters, and the last of two."""
    assert borrowing(config)
    assert borrowing(config, layers=0)
    assert not borrowing(config, root=True)


def test_a_config_as_short_as_a_digest_is_read_and_one_that_is_longer_than_a_document_is_not() -> None:
    content = Content()
    asked: list[int] = []

    def named(config: Descriptor) -> frozenset[str]:
        asked.append(config.size)
        return frozenset()

    sizes = (70, 71, MAX_DOCUMENT, MAX_DOCUMENT + 1)
    configs = [Descriptor("application/vnd.example", content.blob(b"").digest, size) for size in sizes]
    assert [borrows(content.manifest(config, []), named) for config in configs] == [False, False, False, True]
    assert asked == [71, MAX_DOCUMENT]


def test_a_config_names_at_most_as_many_layers_as_a_manifest_has() -> None:
    def config(number: int) -> bytes:
        return json.dumps({"rootfs": {"diff_ids": [OWN] * number}}).encode()

    assert named_layers(config(MAX_LAYERS)) == frozenset({OWN})
    assert named_layers(config(MAX_LAYERS + 1)) is None


@each(
    "ids",
    ["7", "true", '"text"', f'{{"{OWN}":1}}', "[7]", f'[["{OWN}"]]'],
    ids=["a number", "a truth", "a text", "an object of its own", "a list of numbers", "a list in a list"],
)
def test_diff_ids_that_are_not_a_list_of_texts_are_nobodys(ids: str) -> None:
    assert borrowing(f'{{"rootfs":{{"diff_ids":{ids}}},"comment":"so that it is longer than any digest that a layer has"}}'.encode())


# --- what each magic alone decides ---


@each(
    "magic",
    [
        *(b"BZh", b"LZIP", b"LRZI"),
        *(b"hsqs", b"sqsh", b"hsqt", b"tqsh", b"shsq", b"qshs"),
        *(b"070701", b"070702", b"070707", b"\x71\xc7\x80"),
        *(b"!<arch>", b"!<thin>", b"xar!", b"-rom1fs-"),
    ],
)
def test_a_text_that_begins_as_what_unpacks_is_not_proven_and_one_that_begins_otherwise_is(magic: bytes) -> None:
    assert not is_one(magic + b" and text")
    assert is_one(b" " + magic + b" and text")


def test_what_only_has_a_media_type_is_json() -> None:
    assert shape_of(b'{"mediaType":"application/vnd.example.thing"}') == "JSON"
