"""Base64 and PEM with one spelling for every byte string: what decodes must encode to the very same text."""

import base64
import binascii
import re

from bundler.errors import Code, FormatError

_BEGIN, _END = b"-----BEGIN", b"-----END"
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t]*\r?\n([A-Za-z0-9+/= \t\r\n]+?)\r?\n-----END \1-----[ \t]*(?:\r?\n|\Z)")
_MARKS = {
    b"\xef\xbb\xbf": ("begins with a byte order mark", "tail -c +4 FILE > NEW"),
    b"\xff\xfe": ("is UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    b"\xfe\xff": ("is UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > NEW"),
}
"""Editors and shells of Windows begin files so. Other readers of PEM find no block behind the first, and none in the others."""


def from_base64(text: object, *, what: str) -> bytes:
    """RFC 4648, section 4: the standard alphabet with its padding, no line ends. Raises FormatError (``format.base64``)."""
    if not isinstance(text, str):
        raise FormatError(f"{what} is not base64", code=Code.FORMAT_BASE64, found=ascii(text)[:40])
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise FormatError(f"{what} is not base64", code=Code.FORMAT_BASE64, found=ascii(text[:40])) from error
    last = raw[-(len(raw) % 3 or 3) :]  # only the last group can be spelled in two ways; all again would double the memory
    if to_base64(last) != text[-4:]:
        raise FormatError(f"{what} is base64 that no writer makes", code=Code.FORMAT_BASE64, found=ascii(text[-4:]), wanted=to_base64(last))
    return raw


def from_wrapped_base64(text: object, *, what: str) -> tuple[bytes, bool]:
    """As :func:`from_base64`, but line ends may stand in the text; and whether any did.

    openssl and coreutils wrap base64, Go passes over its line ends, and so does everybody who verifies with Go. For text that
    nobody signed, as that of a signature is.
    """
    if not isinstance(text, str):
        return from_base64(text, what=what), False
    unwrapped = text.replace("\n", "").replace("\r", "")
    return from_base64(unwrapped, what=what), unwrapped != text


def to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def from_base64url(text: object, *, what: str) -> bytes:
    """RFC 7515, section 2: the URL-safe alphabet without padding. Raises FormatError (``format.base64``)."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII):
        raise FormatError(f"{what} is not base64url", code=Code.FORMAT_BASE64, found=ascii(text)[:40])
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    return from_base64(padded, what=what)


def is_pem(raw: bytes) -> bool:
    """Whether a file is to be read as PEM, and not as the DER of a certificate, a list or a key."""
    is_der = raw[:1] == b"\x30" and raw[1:2] >= b"\x80"  # a sequence of 128 bytes or more, which no text begins like
    return raw.startswith(tuple(_MARKS)) or (_BEGIN in raw and not is_der)


def from_pem(text: bytes, *labels: str, what: str) -> list[bytes]:
    """What the blocks of a PEM file (RFC 7468) hold, in order; each under one of ``labels``.

    Text that explains them may stand before, between and behind them, in lines of its own (sections 2 and 5.2). What looks like
    the boundary of a further block is not text: other readers could find a block there.

    Raises FormatError (``format.pem``).
    """
    for mark, (form, command) in _MARKS.items():
        if text.startswith(mark):
            wanted = "PEM that begins with its first character"
            raise FormatError(f"{what} {form}", code=Code.FORMAT_PEM, wanted=wanted, next=f"convert it: {command}")
    blocks = []
    at = 0
    while (begin := text.find(_BEGIN, at)) >= 0:
        match = _BLOCK.match(text, begin)
        beside = text[at:begin]
        if match is None or _END in beside or beside.rpartition(b"\n")[2].strip(b" \t"):
            raise FormatError(f"{what} has a block of PEM that is not well-formed", code=Code.FORMAT_PEM, wanted=_wanted(labels))
        label = match[1].decode("ascii")
        if label not in labels:
            raise FormatError(f"{what} has a block of another kind", code=Code.FORMAT_PEM, found=label, wanted=_wanted(labels))
        try:
            blocks.append(base64.b64decode(re.sub(rb"\s", b"", match[2]), validate=True))
        except binascii.Error as error:
            raise FormatError(f"{what} does not hold base64", code=Code.FORMAT_PEM, found=str(error)) from error
        at = match.end()
    if _END in text[at:] or (text and not blocks):
        raise FormatError(f"{what} has no whole block of PEM", code=Code.FORMAT_PEM, wanted=_wanted(labels))
    return blocks


def _wanted(labels: tuple[str, ...]) -> str:
    return " or ".join(f"BEGIN {label}" for label in labels)


def to_pem(raw: bytes, label: str) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(raw), label.encode())
