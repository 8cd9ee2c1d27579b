"""Faults of the tar (bundle-v1.md, section 5)."""

import tarfile
from dataclasses import replace

from bundler.bundle import tar
from bundler.errors import Code
from tests.support.bundle_vectors.vector import Vectors
from tests.support.making import EPOCH, Parts, at, base, flipped, header, patched, record

VECTORS = Vectors()


@VECTORS.refused("tar-other-name", "5", Code.FORMAT_UNLISTED, "the tar gives the last member a name that the seal does not list")
def _() -> Parts:
    return header(lambda told: setattr(told, "name", "install.sh"))


@VECTORS.refused("tar-traversal", "5", Code.FORMAT_UNLISTED, "the tar gives the last member a name that leads out")
def _() -> Parts:
    return header(lambda told: setattr(told, "name", "../../HOSTILE"))


@VECTORS.refused("tar-control-characters", "5", Code.FORMAT_UNLISTED, "a name that would clear a terminal")
def _() -> Parts:
    return header(lambda told: setattr(told, "name", "blobs/\x1b[2Jx"))


@VECTORS.refused("tar-swapped", "5", Code.FORMAT_UNLISTED, "two members of equal size have changed places")
def _() -> Parts:
    def edited(records: list[bytes]) -> list[bytes]:
        first = next(n for n in range(4, len(records) - 1) if len(records[n]) == len(records[n + 1]))
        return [*records[:first], records[first + 1], records[first], *records[first + 2 :]]

    return replace(base(), records=edited)


@VECTORS.refused("tar-unlisted-member", "5", Code.FORMAT_BUNDLE, "a further member behind the last one, in frames of its own")
def _() -> Parts:
    return replace(base(), records=lambda records: [*records, record("install.sh", b"#!/bin/sh\n")])


@VECTORS.refused("tar-missing-member", "5", Code.FORMAT_BUNDLE, "the last member is not there")
def _() -> Parts:
    return replace(base(), records=lambda records: records[:-1])


@VECTORS.refused("tar-hidden-in-end", "5", Code.FORMAT_TAR, "a member's header where the first block of zeros should be")
def _() -> Parts:
    return replace(base(), end=tar.header("install.sh", 0, mtime=0) + bytes(512))


@VECTORS.refused("tar-short-end", "5", Code.FORMAT_BUNDLE, "one block of zeros at the end")
def _() -> Parts:
    return replace(base(), end=bytes(512))


@VECTORS.refused("tar-long-end", "5", Code.FORMAT_BUNDLE, "zeros up to a record of 10,240 bytes, as GNU tar ends")
def _() -> Parts:
    return replace(base(), end=bytes(10240))


@VECTORS.refused("tar-padding", "5", Code.FORMAT_TAR, "something in the padding of a member")
def _() -> Parts:
    return replace(base(), records=at(2, lambda before: before[:-1] + b"x"))


@VECTORS.refused("tar-seal-padding", "5", Code.FORMAT_TAR, "something in the padding of the seal")
def _() -> Parts:
    return replace(base(), records=at(0, lambda before: before[:-1] + b"x"))


@VECTORS.refused("tar-first-member", "5", Code.FORMAT_TAR, "the first member is not a seal")
def _() -> Parts:
    return header(lambda told: setattr(told, "name", "index.json"), number=0)


@VECTORS.refused("tar-symlink", "5", Code.FORMAT_TAR, "a member is a symbolic link")
def _() -> Parts:
    def edit(told: tarfile.TarInfo) -> None:
        told.type, told.linkname = tarfile.SYMTYPE, "/etc/passwd"

    return header(edit)


@VECTORS.refused("tar-hard-link", "5", Code.FORMAT_TAR, "a member is a hard link to an earlier one")
def _() -> Parts:
    def edit(told: tarfile.TarInfo) -> None:
        told.type, told.linkname = tarfile.LNKTYPE, "index.json"

    return header(edit)


@VECTORS.refused("tar-old-regular", "5", Code.FORMAT_TAR, "a regular file of the old kind, type NUL")
def _() -> Parts:
    return patched(156, b"\0")


@VECTORS.refused("tar-long-name", "5", Code.FORMAT_TAR, "a member is the long name of the next one")
def _() -> Parts:
    return patched(156, b"L")


@VECTORS.refused("tar-pax", "5", Code.FORMAT_TAR, "a member is a pax header")
def _() -> Parts:
    return patched(156, b"x")


@VECTORS.refused("tar-mode", "5", Code.FORMAT_TAR, "a member is executable")
def _() -> Parts:
    return header(lambda told: setattr(told, "mode", 0o755))


@VECTORS.refused("tar-owner", "5", Code.FORMAT_TAR, "a member belongs to user 1000")
def _() -> Parts:
    return header(lambda told: setattr(told, "uid", 1000))


@VECTORS.refused("tar-user-name", "5", Code.FORMAT_TAR, "a member belongs to a user by name")
def _() -> Parts:
    return header(lambda told: setattr(told, "uname", "root"))


@VECTORS.refused("tar-seal-user-name", "5", Code.FORMAT_TAR, "the seal belongs to a user by name")
def _() -> Parts:
    return header(lambda told: setattr(told, "uname", "root"), number=0)


@VECTORS.refused("tar-mtime", "5", Code.FORMAT_TAR, "one member has another time than the others")
def _() -> Parts:
    return header(lambda told: setattr(told, "mtime", 1))


@VECTORS.refused("tar-mtime-of-all", "5", Code.FORMAT_TAR, "all headers have one time, which is not that of the seal")
def _() -> Parts:
    return replace(base(), mtime=EPOCH + 1)


@VECTORS.refused("tar-size", "5", Code.FORMAT_TAR, "a header says a byte more than the seal; the padding is large enough")
def _() -> Parts:
    return header(lambda told: setattr(told, "size", told.size + 1), number=2)


@VECTORS.refused("tar-size-spaces", "5", Code.FORMAT_TAR, "the size is spelt with a space at the end, as old tars did")
def _() -> Parts:
    return patched(135, b" ")


@VECTORS.refused("tar-size-binary", "5", Code.FORMAT_TAR, "a small member's size is spelt as GNU spells that of 8 GiB")
def _() -> Parts:
    return replace(base(), records=at(-1, _gnu))


def _gnu(before: bytes) -> bytes:
    size = int(before[124:135], 8)
    block = before[:124] + b"\x80" + size.to_bytes(11, "big") + before[136:512]
    return block[:148] + b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:])) + block[156:] + before[512:]


@VECTORS.refused("tar-gnu-magic", "5", Code.FORMAT_TAR, "a small member has GNU's magic")
def _() -> Parts:
    return patched(257, b"ustar  \0")


@VECTORS.refused("tar-prefix", "5", Code.FORMAT_TAR, "a header has a prefix")
def _() -> Parts:
    return patched(345, b"..")


@VECTORS.refused("tar-checksum", "5", Code.FORMAT_TAR, "a header's checksum is wrong")
def _() -> Parts:
    return replace(base(), records=at(-1, lambda before: flipped(before, 153)))


@VECTORS.refused("tar-checksum-spelling", "5", Code.FORMAT_TAR, "a header's checksum is right, and spelt another way")
def _() -> Parts:
    return replace(base(), records=at(-1, lambda before: before[:148] + before[148:154] + b" \0" + before[156:]))
