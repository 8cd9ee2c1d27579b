"""Extensions of certificates and revocation lists that the library has no words for, or chokes on: allowed, or not, in X.509.

RFC 5280, section 4.2.1.6, has nine kinds of names; ``cryptography`` reads seven. What it raises for the others is its own.
"""

from cryptography import x509
from cryptography.x509 import ObjectIdentifier

from tests.support import cms

_X400 = cms.tlv(0xA3, b"")
_EDI_PARTY = cms.tlv(0xA5, cms.tlv(0xA1, cms.tlv(0x0C, b"party")))
_UNKNOWN = cms.tlv(0x8F, b"?")

_SCT = b"\0" + b"L" * 32 + b"\0" * 10 + b"\x09\x09" + b"\0\x03abc"
_SCTS = len(_SCT + b"..").to_bytes(2, "big") + len(_SCT).to_bytes(2, "big") + _SCT

ODD: dict[str, x509.UnrecognizedExtension] = {
    what: x509.UnrecognizedExtension(ObjectIdentifier(number), raw)
    for what, number, raw in (
        ("a name of X.400", "2.5.29.17", cms.seq(_X400)),
        ("a name of an EDI party", "2.5.29.17", cms.seq(_EDI_PARTY)),
        ("a name of no kind", "2.5.29.17", cms.seq(_UNKNOWN)),
        ("half an address", "2.5.29.17", cms.seq(cms.tlv(0x87, b"\1\2\3"))),
        ("an issuer's name of X.400", "2.5.29.18", cms.seq(_X400)),
        ("a list's place of X.400", "2.5.29.31", cms.seq(cms.seq(cms.tlv(0xA0, cms.tlv(0xA0, _X400))))),
        ("a responder of X.400", "1.3.6.1.5.5.7.1.1", cms.seq(cms.seq(cms.oid("1.3.6.1.5.5.7.48.1"), _X400))),
        ("a constraint on names of X.400", "2.5.29.30", cms.seq(cms.tlv(0xA0, cms.seq(_X400)))),
        ("a TLS feature of no name", "1.3.6.1.5.5.7.1.24", cms.seq(cms.integer(99))),
        ("a policy's notice in no text", "2.5.29.32", cms.seq(cms.seq(cms.oid("1.2.3"), cms.seq(cms.tlv(0x0C, b"\xff"))))),
        ("an authority's identifier of X.400", "2.5.29.35", cms.seq(cms.tlv(0xA1, _X400), cms.tlv(0x82, b"\1"))),
        ("promises of logs by a hash of no name", "1.3.6.1.4.1.11129.2.4.2", cms.octets(_SCTS)),
    )
}
