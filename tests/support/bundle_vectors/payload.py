"""Faults of what is sealed (bundle-v1.md, section 7)."""

import json
from dataclasses import replace
from typing import Any

from bundler.bundle.seal import Kind
from bundler.errors import Code
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from tests.support.bundle_vectors.taken import with_evidence_left_out, with_other_content
from tests.support.bundle_vectors.vector import Vectors
from tests.support.layouts import PLAIN_LAYER
from tests.support.making import APP, REPOSITORY, Parts, Plain, Value, base, path_of

VECTORS = Vectors()


@VECTORS.refused("payload-spaces", "7", Code.FORMAT_SEAL, "the payload is spelt with spaces")
def _() -> Parts:
    return replace(base(), payload=lambda payload: json.dumps(json.loads(payload), sort_keys=True).encode())


@VECTORS.refused("payload-order", "7", Code.FORMAT_SEAL, "the names of the payload are in another order")
def _() -> Parts:
    return replace(base(), payload=lambda payload: json.dumps(dict(reversed(json.loads(payload).items())), separators=(",", ":")).encode())


@VECTORS.refused("payload-utf8", "7", Code.FORMAT_SEAL, "the payload has a character beyond ASCII as it is")
def _() -> Parts:
    parts = base().saying(station="h\u00e4ll")
    return replace(parts, payload=lambda payload: payload.replace(b"h\\u00e4ll", "h\u00e4ll".encode()))


@VECTORS.refused("payload-name-twice", "7", Code.FORMAT_JSON, "the payload has a name twice")
def _() -> Parts:
    return replace(base(), payload=lambda payload: payload.replace(b'"stream":', b'"stream":"other","stream":'))


@VECTORS.refused("payload-no-json", "7", Code.FORMAT_JSON, "the payload is not JSON")
def _() -> Parts:
    return replace(base(), payload=lambda payload: payload[:-1])


@VECTORS.refused("payload-float", "7", Code.FORMAT_JSON, "the sequence is a float")
def _() -> Parts:
    return replace(base(), payload=lambda payload: payload.replace(b'"sequence":1704067200000', b'"sequence":1704067200000.0'))


@VECTORS.refused("payload-list", "7", Code.FORMAT_SEAL, "the payload is a list")
def _() -> Parts:
    return replace(base(), payload=lambda payload: b"[" + payload + b"]")


@VECTORS.refused("payload-predicate-type-2", "7", Code.FORMAT_VERSION, "the predicate type is that of version 2")
def _() -> Parts:
    return replace(base(), statement=lambda statement: statement | {"predicateType": "urn:oci-bundler:bundle:v2"})


@VECTORS.refused("payload-format-2", "7", Code.FORMAT_VERSION, "format is 2")
def _() -> Parts:
    return base().saying(format=2)


@VECTORS.refused("payload-format-true", "7", Code.FORMAT_SEAL, "format is true")
def _() -> Parts:
    return base().saying(format=True)


@VECTORS.refused("payload-other-statement", "7", Code.FORMAT_SEAL, "the payload is an attestation of something else by the same key")
def _() -> Parts:
    return replace(base(), statement=lambda statement: statement | {"predicateType": "https://slsa.dev/provenance/v1"})


@VECTORS.refused("payload-statement-v01", "7", Code.FORMAT_SEAL, "the payload is an in-toto statement of version 0.1")
def _() -> Parts:
    return replace(base(), statement=lambda statement: statement | {"_type": "https://in-toto.io/Statement/v0.1"})


@VECTORS.refused("payload-two-subjects", "7", Code.FORMAT_SEAL, "the statement has an image as a second subject")
def _() -> Parts:
    def edit(statement: Value) -> Value:
        image = statement["predicate"]["images"][0]["digest"].removeprefix("sha256:")
        return statement | {"subject": [*statement["subject"], {"digest": {"sha256": image}, "name": REPOSITORY}]}

    return replace(base(), statement=edit)


@VECTORS.refused("payload-subject-digest", "7", Code.FORMAT_SEAL, "the statement's subject is another index.json than the member")
def _() -> Parts:
    other = [{"digest": {"sha256": Digest.of(b"other").encoded}, "name": "index.json"}]
    return replace(base(), statement=lambda statement: statement | {"subject": other})


@VECTORS.refused("payload-subject-name", "7", Code.FORMAT_SEAL, "the statement's subject has another name")
def _() -> Parts:
    return replace(base(), statement=lambda s: s | {"subject": [s["subject"][0] | {"name": "manifest.json"}]})


@VECTORS.refused("predicate-unknown-field", "7", Code.FORMAT_SEAL, "the predicate has a field that is not known")
def _() -> Parts:
    return base().saying(critical=True)


@VECTORS.refused("predicate-missing-field", "7", Code.FORMAT_SEAL, "the predicate lacks a field that may be null")
def _() -> Parts:
    parts = base()
    return replace(parts, predicate={name: value for name, value in parts.predicate.items() if name != "expires"})


@VECTORS.refused("stream-path", "7", Code.FORMAT_SEAL, "the stream's name leads out of a folder")
def _() -> Parts:
    return base().saying(stream="../default")


@VECTORS.refused("sequence-negative", "7", Code.FORMAT_SEAL, "the sequence is negative")
def _() -> Parts:
    return base().saying(sequence=-1)


@VECTORS.refused("sequence-large", "7", Code.FORMAT_SEAL, "the sequence is 2^53")
def _() -> Parts:
    return base().saying(sequence=2**53)


@VECTORS.refused("sequence-null", "7", Code.FORMAT_SEAL, "the sequence is null")
def _() -> Parts:
    return base().saying(sequence=None)


@VECTORS.refused("sequence-bool", "7", Code.FORMAT_SEAL, "the sequence is true")
def _() -> Parts:
    return base().saying(sequence=True)


@VECTORS.refused("previous-no-digest", "7", Code.FORMAT_DIGEST, "previous is not a digest")
def _() -> Parts:
    return base().saying(previous="sha256:12")


@VECTORS.refused("created-other-form", "7", Code.FORMAT_SEAL, "created has an offset for its zone")
def _() -> Parts:
    return base().saying(created="2024-01-01T00:00:00+00:00")


@VECTORS.refused("created-no-such-day", "7", Code.FORMAT_SEAL, "created is the 30th of February")
def _() -> Parts:
    return base().saying(created="2024-02-30T00:00:00Z")


@VECTORS.refused("expires-full-width", "7", Code.FORMAT_SEAL, "expires is written in full-width digits")
def _() -> Parts:
    return base().saying(expires="\uff12999-01-01T00:00:00Z")


def image_saying(**told: Any) -> Parts:
    return base().editing("images", lambda images: images[0].update(told))


@VECTORS.refused("images-none", "7", Code.FORMAT_SEAL, "there is no image")
def _() -> Parts:
    return base().saying(images=[])


@VECTORS.refused("image-reference-short", "7", Code.FORMAT_SEAL, "a reference is not in full")
def _() -> Parts:
    return image_saying(reference="app:v1")


@VECTORS.refused("image-reference-traversal", "7", Code.FORMAT_REFERENCE, "a reference that leads out")
def _() -> Parts:
    return image_saying(reference="registry.example/../../etc/x:1.0")


@VECTORS.refused("image-reference-escape", "7", Code.FORMAT_JSON, "a reference that colours a terminal")
def _() -> Parts:
    return image_saying(reference="registry.example/app:\x1b[31mred")


@VECTORS.refused("image-reference-homoglyph", "7", Code.FORMAT_REFERENCE, "a reference with a Cyrillic letter in its host")
def _() -> Parts:
    return image_saying(reference="registry.ex\u0430mple/app:v1")


@VECTORS.refused("image-reference-both", "7", Code.FORMAT_SEAL, "a reference with a tag and a digest")
def _() -> Parts:
    return base().editing("images", lambda images: images[0].update(reference=f"{APP}@{images[0]['digest']}"))


@VECTORS.refused("image-reference-other-digest", "7", Code.FORMAT_SEAL, "a reference with the digest of something else")
def _() -> Parts:
    return image_saying(reference=f"{REPOSITORY}@{Digest.of(b'other')}")


@VECTORS.refused("image-reference-evidence", "7", Code.FORMAT_REFERENCE, "an image is carried under the tag of its neighbour's signature")
def _() -> Parts:
    plain = Plain()
    image, other = plain.signed(plain.image("hello")), plain.signed(plain.image("other"))
    parts = plain.parts({APP: image, f"{REPOSITORY}:other": other})
    return parts.editing("images", lambda images: images[1].update(reference=f"{REPOSITORY}:{image.digest.tag}.sig"))


@VECTORS.refused("image-reference-referrers", "7", Code.FORMAT_REFERENCE, "an image is carried under the tag of its neighbour's referrers")
def _() -> Parts:
    plain = Plain()
    image, other = plain.signed(plain.image("hello")), plain.signed(plain.image("other"))
    parts = plain.parts({APP: image, f"{REPOSITORY}:other": other})
    return parts.editing("images", lambda images: images[1].update(reference=f"{REPOSITORY}:{image.digest.tag}"))


@VECTORS.refused("image-reference-evidence-sha512", "7", Code.FORMAT_REFERENCE, "the same of a manifest that SHA-512 names, in upper case")
def _() -> Parts:
    tag = Digest.of(b"other", algorithm="sha512").tag[: len("sha512-") + 64]
    return image_saying(reference=f"{REPOSITORY}:{tag.upper()}")


@VECTORS.refused("image-reference-twice", "7", Code.FORMAT_SEAL, "one name for two digests")
def _() -> Parts:
    plain = Plain()
    parts = plain.parts({APP: plain.signed(plain.image("hello")), f"{REPOSITORY}:v2": plain.signed(plain.image("other"))})
    return parts.editing("images", lambda images: images[1].update(reference=APP))


@VECTORS.refused("image-no-member", "8", Code.CONTENT_MISSING, "an image is not a member", exit=4)
def _() -> Parts:
    return image_saying(digest=str(Digest.of(b"other")))


@VECTORS.refused("image-size", "8", Code.CONTENT_SIZE, "an image is said to be a byte longer than its member", exit=4)
def _() -> Parts:
    return base().editing("images", lambda images: images[0].update(size=images[0]["size"] + 1))


@VECTORS.refused("image-media-type", "7", Code.FORMAT_MEDIA_TYPE, "an image is said to be a layer")
def _() -> Parts:
    return image_saying(mediaType=PLAIN_LAYER)


@VECTORS.refused("image-media-type-index", "8", Code.FORMAT_MEDIA_TYPE, "a manifest is said to be an index")
def _() -> Parts:
    return image_saying(mediaType=mediatype.OCI_INDEX)


@VECTORS.refused("image-platform-twice", "7", Code.FORMAT_SEAL, "an image has a platform twice")
def _() -> Parts:
    return image_saying(platforms=["linux/amd64", "linux/amd64"])


def of_platforms(**told: Any) -> Parts:
    plain = Plain()
    root = plain.signed(plain.index("hello"))
    parts = plain.parts({APP: root}, left_out=[root.children[1].digest])
    return parts.editing("images", lambda images: images[0].update(told))


@VECTORS.refused("image-platforms", "8", Code.FORMAT_SEAL, "an index is said to carry a platform that is left out")
def _() -> Parts:
    return of_platforms(platforms=["linux/amd64", "linux/arm64"])


@VECTORS.refused(
    "image-platform-of-config", "7", Code.FORMAT_SEAL, "a single manifest is said to run on another platform than its config says"
)
def _() -> Parts:
    return image_saying(platforms=["linux/arm64"])


@VECTORS.refused("image-left-out-unsaid", "8", Code.CONTENT_MISSING, "a platform is not there, and not said to be left out", exit=4)
def _() -> Parts:
    return of_platforms(left_out=[])


@VECTORS.refused(
    "evidence-left-out-unsaid", "8", Code.CONTENT_MISSING, "a referrer was found and is not there, and not said to be left out", exit=4
)
def _() -> Parts:
    return with_evidence_left_out().editing("images", lambda images: images[0].update(left_out=[]))


@VECTORS.refused(
    "index-other-content-unsaid", "8", Code.CONTENT_MISSING, "content that an index lists is not there, and not said to be left out", exit=4
)
def _() -> Parts:
    parts = with_other_content()
    return parts.listing(parts.members[:-1])


@VECTORS.refused("index-other-content-manifest", "8", Code.FORMAT_MEDIA_TYPE, "an index lists a manifest as of another media type")
def _() -> Parts:
    return with_other_content(base().files[path_of(base(), Kind.DOCUMENT)])


@VECTORS.refused("image-left-out-more", "8", Code.FORMAT_SEAL, "something is said to be left out that no index lists")
def _() -> Parts:
    return image_saying(left_out=[{"digest": str(Digest.of(b"other")), "platform": None}])


@VECTORS.refused("image-left-out-platform", "8", Code.FORMAT_SEAL, "what is left out is said to be of another platform")
def _() -> Parts:
    plain = Plain()
    root = plain.signed(plain.index("hello"))
    parts = plain.parts({APP: root}, left_out=[root.children[1].digest])
    return parts.editing("images", lambda images: images[0]["left_out"][0].update(platform="linux/s390x"))


def lookup_saying(number: int = 0, **told: Any) -> Parts:
    return base().editing("lookups", lambda lookups: lookups[number].update(told))


@VECTORS.refused("lookup-missing", "8", Code.FORMAT_SEAL, "the seal does not say what was found about the signature")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups.pop())


@VECTORS.refused("lookup-hidden", "8", Code.FORMAT_SEAL, "the seal says that there is no signature, and carries it")
def _() -> Parts:
    absent = {"sig": "absent", "att": "absent", "sbom": "absent", "referrers": "absent", "fallback": "absent"}
    return lookup_saying(asked=absent, found=[])


@VECTORS.refused("lookup-more", "7", Code.FORMAT_SEAL, "a lookup about a manifest that no image leads to")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups.append(lookups[1] | {"manifest": str(Digest.of(b"other"))}))


@VECTORS.refused("lookup-order", "8", Code.FORMAT_SEAL, "the lookups are in another order")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups.reverse())


@VECTORS.refused("lookup-twice", "7", Code.FORMAT_SEAL, "two lookups about one manifest")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups.append(lookups[0]))


@VECTORS.refused("lookup-repository", "7", Code.FORMAT_SEAL, "a lookup about a repository of which nothing is carried")
def _() -> Parts:
    return lookup_saying(1, repository="registry.example/other")


@VECTORS.refused("lookup-answer", "7", Code.FORMAT_SEAL, "a question has an answer that is none of its answers")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["asked"].update(att="no-api"))


@VECTORS.refused("lookup-error", "7", Code.FORMAT_SEAL, "a question was answered with an error")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["asked"].update(referrers="error"))


@VECTORS.refused("lookup-hidden-found", "7", Code.FORMAT_SEAL, "a signature was found where the registry does not say whether there is one")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["asked"].update(sig="hidden"))


@VECTORS.refused(
    "lookup-hidden-referrers", "7", Code.FORMAT_SEAL, "whether there are referrers is hidden, which is not an answer to that question"
)
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["asked"].update(referrers="hidden"))


@VECTORS.refused("lookup-unasked", "7", Code.FORMAT_SEAL, "a question is not there")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["asked"].pop("fallback"))


@VECTORS.refused("lookup-absent-found", "7", Code.FORMAT_SEAL, "a signature was found where there is none")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["asked"].update(sig="absent"))


@VECTORS.refused("lookup-form", "7", Code.FORMAT_SEAL, "evidence in a form that is not known")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["found"][0].update(form="cosign"))


@VECTORS.refused("lookup-found-twice", "7", Code.FORMAT_SEAL, "one piece of evidence twice")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["found"].append(lookups[0]["found"][0]))


@VECTORS.refused("lookup-found-missing", "8", Code.CONTENT_MISSING, "evidence was found and is not a member", exit=4)
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["found"][0].update(digest=str(Digest.of(b"other"))))
