"""EVD: code that is found as evidence, and what would become code on the way, in bundles that whoever may seal has sealed.

Where a case is a bundle, the only signature of its image lies in the manifest that the case is about or beside it, so the image
is refused with it. That such evidence stays outside where the image itself passes is seen in ``tests/interop/test_runtimes.py``.
"""

from collections.abc import Callable
from dataclasses import replace

from bundler import strictjson
from bundler.errors import Code
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.manifest import Document, Manifest
from tests.hostile.catalogue.disguises import RAN, disguises
from tests.support import making
from tests.support.hostile import Cases
from tests.support.making import Parts, Plain
from tests.support.tars import PRINTABLE

CASES = Cases()
TEXT = "text/spdx"
TAR = making.one_file("evil", b"evil")
Make = Callable[[Plain, Document, Descriptor], Document]


def signature(plain: Plain, image: Document) -> Descriptor:
    """A layer that would count, were it not for the manifest that lists it."""
    return plain.tags[f"{plain.signed(image).digest.tag}.sig"].blobs[-1]


def carrying(number: str, words: str, make: Make, *, form: str = "sig", code: Code = Code.EVIDENCE_RUNNABLE) -> None:
    """An image whose only signature is in what ``make`` makes of its layer; found by a tag, or by its subject."""

    def bundle() -> Parts:
        plain = Plain()
        image = plain.image("hello")
        made = make(plain, image, signature(plain, image))
        del plain.tags[f"{image.digest.tag}.sig"]
        if form != "referrer":
            plain.tag(f"{image.digest.tag}.{form}", made)
        return plain.parts({making.APP: image})

    CASES.add(f"EVD-{number}", words, code, bundle)


def config(plain: Plain, *layers: Descriptor, kind: str = mediatype.OCI_CONFIG) -> Descriptor:
    """What runs these layers."""
    told = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/evil"]}}
    rootfs = {"rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}}
    return plain.blob(strictjson.dumps(told | rootfs), kind)


def image_of(data: bytes, *, kind: str = mediatype.OCI_CONFIG, layer: str = TEXT, media_type: str = mediatype.OCI_MANIFEST) -> Make:
    """The signature, and beside it a layer of these bytes, under the config of an image."""

    def make(plain: Plain, _: Document, signed: Descriptor) -> Document:
        layers = (signed, plain.blob(data, layer))
        return plain.manifest(config(plain, *layers, kind=kind), layers, media_type=media_type)

    return make


def referring(make: Make) -> Make:
    """The same, with the image as its subject."""

    def made(plain: Plain, image: Document, signed: Descriptor) -> Document:
        return subjected(plain, make(plain, image, signed), image)

    return made


def subjected(plain: Plain, document: Document, subject: Document) -> Document:
    assert isinstance(document.content, Manifest)
    del plain.documents[document.digest]
    return plain.manifest(document.content.config, document.content.layers, subject=subject)


def borrowing(plain: Plain, image: Document, signed: Descriptor) -> Document:
    return plain.manifest(image.blobs[0], (signed,))


def index_of(plain: Plain, image: Document, signed: Descriptor) -> Document:
    child = replace(image_of(b"text")(plain, image, signed).descriptor, platform=Platform("linux", "amd64"))
    return plain.document({"mediaType": mediatype.OCI_INDEX, "manifests": [child.to_json()]})


def of_another(plain: Plain, _: Document, signed: Descriptor) -> Document:
    return subjected(plain, plain.carrier(signed), plain.image("other"))


PLAIN = "application/octet-stream"
UNIT, JOINING, RUNTIMES = "tests/unit/trust/test_runnable.py", "tests/unit/stations/test_merging.py", "tests/interop/test_runtimes.py"

carrying("001", "code under a signature's tag", image_of(TAR))
carrying("002", "code under a signature's tag, with a config of octets", image_of(TAR, kind=PLAIN, media_type=mediatype.DOCKER_MANIFEST))
carrying("003", "code under an SBOM's tag", image_of(TAR, kind=PLAIN), form="sbom")
carrying("004", "code under an attestation's tag", image_of(TAR, layer=mediatype.DSSE), form="att")
carrying("005", "code that refers to the image", referring(image_of(TAR)), form="referrer")
carrying("006", "a layer that is a text and a tar at once", image_of(next(iter(PRINTABLE.values()))(1)))
carrying("007", "a text, under a config that names the layers of an image", borrowing)
carrying("008", "an index in the place of signatures", index_of)
carrying("009", "a signature in a manifest that refers to another image", of_another, code=Code.CARRIER_SUBJECT)
CASES.elsewhere(
    "EVD-010",
    "a child of an index whose config is octets, where each platform must be signed",
    f"{UNIT}::test_a_child_is_a_platform_whatever_its_config_is",
)
CASES.elsewhere("EVD-011", "code as BuildKit's attestation", f"{UNIT}::test_what_is_not_wholly_an_attestation_of_a_sibling_must_be_signed")
CASES.elsewhere(
    "EVD-012",
    "the config of an image and the layer of another, merged under a signature's tag",
    f"{JOINING}::test_the_config_of_one_and_the_layers_of_the_other_make_no_image",
)
CASES.elsewhere(
    "EVD-013", "an image that refers to another, first in its list", f"{RUNTIMES}::test_no_runtime_takes_an_image_from_the_list"
)
CASES.elsewhere(
    "EVD-014",
    "an index where a list of referrers belongs",
    "tests/crossings/test_fallback_lists.py::test_an_index_of_something_else_is_not_extended",
)
for _name, _words in (("evidence", "signature's"), ("evidence-sha512", "signature's, by SHA-512"), ("referrers", "list of referrers'")):
    CASES.vector("EVD-015", f"an image under a {_words} tag", f"image-reference-{_name}")
_ran = ", ".join(f"{name} {number}" for name, number in RAN.items())
CASES.elsewhere(
    "EVD-016",
    f"code in {len(disguises())} disguises, in every place; of these run: {_ran}",
    f"{RUNTIMES}::test_what_it_runs_was_not_admitted",
)
CASES.elsewhere("EVD-017", "more signatures than anybody verifies", "tests/unit/trust/test_budget.py::test_beyond_nothing_is_judged")
CASES.elsewhere(
    "EVD-018",
    "a certificate that the library cannot read",
    "tests/hostile/test_foreign_evidence.py::test_a_certificate_that_cannot_be_read",
)
