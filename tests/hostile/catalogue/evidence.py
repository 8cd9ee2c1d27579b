"""EVD: code that is found as evidence, and what would become code on the way, in bundles that whoever may seal has sealed.

Where a case is a bundle, the only signature of its image lies in the manifest that the case is about or beside it, so the image
is refused with it. That such evidence stays outside where the image itself passes is seen in ``tests/interop/test_runtimes.py``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bundler import strictjson
from bundler.errors import Code
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import Document, Manifest
from tests.support import making
from tests.support.hostile import Cases
from tests.support.making import World
from tests.support.tars import PRINTABLE

CASES = Cases()
TEXT = "text/spdx"
TAR = making.tar_of("evil", b"evil")


def signature(world: Any, image: Document) -> Descriptor:
    """A layer that would count, were it not for the manifest that lists it."""
    [layer] = world.documents[world.tags[f"{making.REPOSITORY}:{world.signed(image).digest.tag}.sig"]].content.layers
    return layer  # type: ignore[no-any-return]


def carrying(
    number: str,
    words: str,
    make: Callable[[Any, Document, Descriptor], Document],
    *,
    form: str = "sig",
    code: Code = Code.EVIDENCE_RUNNABLE,
) -> None:
    """An image whose only signature is in what ``make`` makes of its layer; found by a tag, or by its subject."""

    def bundle() -> Any:
        world = World()
        image = world.image("hello")
        made = make(world, image, signature(world, image))
        del world.tags[f"{making.REPOSITORY}:{image.digest.tag}.sig"]
        if form != "referrer":
            world.tag(making.REPOSITORY, image.digest, form, made)
        return world.parts({making.APP: image})

    CASES.add(f"EVD-{number}", words, code, bundle)


def config(world: Any, *layers: Descriptor, kind: str = mediatype.OCI_CONFIG) -> Descriptor:
    """What runs these layers."""
    told = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/evil"]}}
    rootfs = {"rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}}
    return world.blob(strictjson.dumps(told | rootfs), kind)  # type: ignore[no-any-return]


def image_of(data: bytes, *, kind: str = mediatype.OCI_CONFIG, layer: str = TEXT, **members: Any) -> Callable[..., Document]:
    """The signature, and beside it a layer of these bytes, under the config of an image."""

    def make(world: Any, _: Document, signed: Descriptor) -> Document:
        layers = (signed, world.blob(data, layer))
        return world.manifest(config(world, *layers, kind=kind), layers, **members)  # type: ignore[no-any-return]

    return make


def referring(make: Callable[..., Document]) -> Callable[..., Document]:
    """The same, with the image as its subject."""

    def made(world: Any, image: Document, signed: Descriptor) -> Document:
        return subjected(world, make(world, image, signed), image)

    return made


def subjected(world: Any, document: Document, subject: Document) -> Document:
    assert isinstance(document.content, Manifest)
    told: Mapping[str, Any] = {"subject": subject.descriptor.to_json()}
    del world.documents[document.digest]
    return world.manifest(document.content.config, document.content.layers, **told)  # type: ignore[no-any-return]


def borrowing(world: Any, image: Document, signed: Descriptor) -> Document:
    return world.manifest(image.content.config, (signed,))  # type: ignore[no-any-return,union-attr]


def index_of(world: Any, image: Document, signed: Descriptor) -> Document:
    return world.index((image_of(b"text")(world, image, signed), "linux/amd64"))  # type: ignore[no-any-return]


def of_another(world: Any, _: Document, signed: Descriptor) -> Document:
    return subjected(world, world.tagged(signed), world.image("other"))


DOCKER = {"mediaType": mediatype.DOCKER_MANIFEST}
PLAIN = "application/octet-stream"
UNIT, JOINING, RUNTIMES = "tests/unit/trust/test_runnable.py", "tests/unit/stations/test_merging.py", "tests/interop/test_runtimes.py"

carrying("001", "code under a signature's tag", image_of(TAR))
carrying("002", "code under a signature's tag, with a config of octets", image_of(TAR, kind=PLAIN, **DOCKER))
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
CASES.elsewhere("EVD-016", "whatever docker, containerd or podman run, in every place", f"{RUNTIMES}::test_what_it_runs_was_not_admitted")
CASES.elsewhere("EVD-017", "more signatures than anybody verifies", "tests/unit/trust/test_budget.py::test_beyond_nothing_is_judged")
CASES.elsewhere(
    "EVD-018",
    "a certificate that the library cannot read",
    "tests/hostile/test_foreign_evidence.py::test_a_certificate_that_cannot_be_read",
)
