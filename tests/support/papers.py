"""What people attach to images, as the tools write it, small; and the same carriers with something in them that is code.

A paper is data and the way it is attached. Each tool has its own way, so the way is part of what must not be refused.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass

from bundler.oci import mediatype
from bundler.oci.manifest import Document
from tests.support import signing, tars
from tests.support.layouts import DOCKER_LAYER, Content

Attach = Callable[[Content, Document, bytes], Document]
"""Puts the data beside the image as a tool would, and gives the manifest that holds it."""


@dataclass(frozen=True)
class Paper:
    """What is attached, and how."""

    attach: Attach
    data: Callable[[Document], bytes]


# --- ways ---


def _sig(content: Content, subject: Document, data: bytes) -> Document:
    return content.sig(subject.digest, (data, signing.P256.sign(data)))


def _att(content: Content, subject: Document, data: bytes) -> Document:
    return content.att(subject.digest, data)


def _in_docker_types(form: str, layer_type: str) -> Attach:
    """As cosign writes with COSIGN_DOCKER_MEDIA_TYPES."""

    def attach(content: Content, subject: Document, data: bytes) -> Document:
        layer = content.blob(data, layer_type)
        config = {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]}}
        told = content.blob(json.dumps(config).encode(), mediatype.DOCKER_CONFIG)
        made = content.manifest(told, [layer], media_type=mediatype.DOCKER_MANIFEST)
        content.tags[f"{subject.digest.tag}.{form}"] = made
        return made

    return attach


def _sbom(media_type: str) -> Attach:
    return lambda content, subject, data: content.sbom(subject.digest, data, media_type)


def _referrer(artifact_type: str, layer_type: str | None = None) -> Attach:
    return lambda content, subject, data: content.artifact(data, artifact_type, layer_type=layer_type, subject=subject)


def _bundle(content: Content, subject: Document, data: bytes) -> Document:
    return content.bundle(subject, data, predicate_type=signing.SIGN)


def _notation(*, cose: bool) -> Attach:
    return lambda content, subject, data: content.notation(subject, data, cose=cose)


def _sig_by_subject(content: Content, subject: Document, data: bytes) -> Document:
    """As cosign wrote with the referrers mode of its experiments: the payload refers to the image."""
    config = content.blob(b"{}", "application/vnd.dev.cosign.artifact.sig.v1+json")
    return content.manifest(config, [content.blob(data, mediatype.SIMPLE_SIGNING)], subject=subject)


# --- data ---


def _json(**members: object) -> Callable[[Document], bytes]:
    return lambda _: json.dumps(members, indent=2).encode() + b"\n"


def _text(words: str) -> Callable[[Document], bytes]:
    return lambda _: words.encode()


def _bundled(subject: Document) -> bytes:
    return json.dumps(signing.bundle(signing.dsse(subject))).encode()


_SPDX = """SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
SPDXID: SPDXRef-DOCUMENT
DocumentName: app
Creator: Tool: syft-1.0.0

##### Package: libc6
PackageName: libc6
PackageCopyrightText: <text>Copyright © the authors,
    in more than one line.</text>
"""
_XML = """<?xml version="1.0" encoding="UTF-8"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.5" version="1">
  <components><component type="library"><name>libc6</name><version>2.36</version></component></components>
</bom>
"""
_PROV = """-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

apiVersion: v2
name: chart
version: 0.1.0

...
files:
  chart-0.1.0.tgz: sha256:9cf9e9d5a0c5a1b9f7a4d1b6c1e0d7ad5f3a7ee2b0b5d7f5c6d5b6a4a3f2e1d0
-----BEGIN PGP SIGNATURE-----

wsBcBAEBCgAQBQJlAAAACRAAAAAAAAAAAAAA
=AAAA
-----END PGP SIGNATURE-----
"""
_LINK = {"_type": "link", "name": "build", "materials": {}, "products": {}, "byproducts": {"return-value": 0}, "command": ["make"]}
_JWS = {"payload": "e30", "protected": "eyJhbGciOiJQUzI1NiJ9", "header": {"x5c": ["MIIB"]}, "signature": "AAAA"}
_SARIF = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scanner"}}, "results": []}]}
_VEX = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example/vex", "author": "a", "statements": [], "version": 1}
_COSE = b"\xd2\x84\x43\xa1\x01\x26\xa0\x42{}\x41s"  # COSE_Sign1: the algorithm ES256, nothing unprotected, a payload, a signature
_SPDX_JSON = _json(spdxVersion="SPDX-2.3", SPDXID="SPDXRef-DOCUMENT", name="app", packages=[{"name": "libc6"}])
_CYCLONEDX = _json(bomFormat="CycloneDX", specVersion="1.5", components=[{"type": "library", "name": "libc6"}])

PAPERS: dict[str, Paper] = {
    "cosign's .sig": Paper(_sig, signing.payload),
    "cosign's .sig in docker's types": Paper(_in_docker_types("sig", mediatype.SIMPLE_SIGNING), signing.payload),
    "cosign's .sig whose layer is one of docker's": Paper(_in_docker_types("sig", DOCKER_LAYER), signing.payload),
    "cosign's signature as a referrer": Paper(_sig_by_subject, signing.payload),
    "cosign's .att": Paper(_att, signing.att),
    "cosign's .att in docker's types": Paper(_in_docker_types("att", mediatype.DSSE), signing.att),
    "cosign's .sbom, SPDX": Paper(_sbom("text/spdx"), _text(_SPDX)),
    "cosign's .sbom, SPDX in JSON": Paper(_sbom("text/spdx+json"), _SPDX_JSON),
    "cosign's .sbom, CycloneDX": Paper(_sbom("application/vnd.cyclonedx+json"), _CYCLONEDX),
    "cosign's .sbom, CycloneDX in XML": Paper(_sbom("application/vnd.cyclonedx+xml"), _text(_XML)),
    "a Sigstore bundle": Paper(_bundle, _bundled),
    "SPDX": Paper(_referrer("text/spdx"), _text(_SPDX)),
    "SPDX in JSON": Paper(_referrer("application/spdx+json"), _SPDX_JSON),
    "CycloneDX": Paper(_referrer("application/vnd.cyclonedx+json"), _CYCLONEDX),
    "CycloneDX in XML": Paper(_referrer("application/vnd.cyclonedx+xml"), _text(_XML)),
    "Helm's provenance": Paper(_referrer("application/vnd.cncf.helm.chart.provenance.v1.prov"), _text(_PROV)),
    "Notation's JWS": Paper(_notation(cose=False), _json(**_JWS)),
    "Notation's COSE": Paper(_notation(cose=True), lambda _: _COSE),
    "OpenVEX": Paper(_referrer("application/vnd.openvex+json"), _json(**_VEX)),
    "SARIF": Paper(_referrer("application/sarif+json"), _json(**_SARIF)),
    "an in-toto link": Paper(_referrer("application/vnd.in-toto+json"), _json(signed=_LINK, signatures=[])),
    "an in-toto statement": Paper(_referrer("application/vnd.in-toto+json"), signing.statement),
    "ORAS, JSON": Paper(_referrer("application/vnd.example.report", "application/json"), _json(passed=True)),
    "ORAS, Markdown": Paper(_referrer("application/vnd.example.notes", "text/markdown"), _text("# 1.0\n\n- faster\n")),
    "ORAS, plain text": Paper(_referrer("application/vnd.example.notes", "text/plain"), _text("Grüße aus der Werkstatt\n")),
    "ORAS, of no known type": Paper(_referrer("application/vnd.unknown.artifact.v1", "application/octet-stream"), _text("words\n")),
}
"""By what it is."""

TWINS: dict[str, Callable[[bytes], bytes]] = {
    "a tar": lambda _: tars.PROGRAMS["ustar"](1),
    "a tar that is text": lambda _: tars.PRINTABLE["words"](1),
    "compressed": lambda data: gzip.compress(data, mtime=0),
    "with a NUL": lambda data: data + b"\0",
    "a program": lambda _: tars.program(),
}
"""What makes each of them code."""
