"""Base64 and PEM with one spelling for every byte string: what decodes must encode to the very same text."""

import base64
import binascii
import re

from bundler.errors import Code, FormatError

_PEM = re.compile(rb"\s*-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n-----END \1-----[ \t]*(?:\r?\n|\Z)\s*")


def from_base64(text: object, *, what: str) -> bytes:
    """RFC 4648, section 4: the standard alphabet with its padding, no line ends. Raises FormatError (``format.base64``)."""
    if not isinstance(text, str):
        raise FormatError(f"{what} is no base64", code=Code.FORMAT_BASE64, found=ascii(text)[:40])
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise FormatError(f"{what} is no base64", code=Code.FORMAT_BASE64, found=ascii(text[:40])) from error
    last = raw[-(len(raw) % 3 or 3) :]  # only the last group can be spelled in two ways; all again would double the memory
    if to_base64(last) != text[-4:]:
        raise FormatError(f"{what} is base64 that no writer makes", code=Code.FORMAT_BASE64, found=ascii(text[-4:]), wanted=to_base64(last))
    return raw


def to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def from_base64url(text: object, *, what: str) -> bytes:
    """RFC 7515, section 2: the URL-safe alphabet without padding. Raises FormatError (``format.base64``)."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII):
        raise FormatError(f"{what} is no base64url", code=Code.FORMAT_BASE64, found=ascii(text)[:40])
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    return from_base64(padded, what=what)


def from_pem(text: bytes, *labels: str, what: str) -> list[bytes]:
    """What the blocks of a PEM file (RFC 7468) hold, in order; each under one of ``labels``, only white space beside them.

    Raises FormatError (``format.pem``).
    """
    blocks = []
    at = 0
    while at < len(text):
        match = _PEM.match(text, at)
        if match is None or match[1].decode("ascii") not in labels:
            raise FormatError(f"{what} holds something else than PEM blocks", code=Code.FORMAT_PEM, wanted=" or ".join(labels))
        try:
            blocks.append(base64.b64decode(re.sub(rb"\s", b"", match[2]), validate=True))
        except binascii.Error as error:
            raise FormatError(f"{what} holds no base64", code=Code.FORMAT_PEM, found=str(error)) from error
        at = match.end()
    return blocks


def to_pem(raw: bytes, label: str) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(raw), label.encode())
