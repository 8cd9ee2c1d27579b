"""Code under every name that evidence, or anything else, goes by: what a runtime might run and nobody has signed.

A disguise is a manifest of one layer, told by the types of manifest, config and layer, the dialect of its tar and how that is
packed. They are made by going through each of these with the rest as in an ordinary image, and then through all at once.
"""

import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bundler.oci import mediatype
from bundler.oci.manifest import Document
from tests.support import tars
from tests.support.layouts import DOCKER_LAYER, FOREIGN_LAYER, LAYER, PLAIN_LAYER, Content

CONFIGS = (
    mediatype.OCI_CONFIG,
    mediatype.DOCKER_CONFIG,
    "application/octet-stream",
    "application/json",
    "text/html",
    "text/plain",
    "application/vnd.docker.plugin.v1+json",
    mediatype.EMPTY,
    f"{mediatype.OCI_CONFIG}; charset=utf-8",
    mediatype.OCI_CONFIG.upper(),
    mediatype.DOCKER_CONFIG.upper(),
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.cncf.helm.config.v1+json",
    "application/vnd.example.unknown",
)
DOCKER_PLAIN = "application/vnd.docker.image.rootfs.diff.tar"
LAYERS = (
    PLAIN_LAYER,
    LAYER,
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    DOCKER_PLAIN,
    DOCKER_LAYER,
    FOREIGN_LAYER,
    PLAIN_LAYER.upper(),
    f"{PLAIN_LAYER}; charset=utf-8",
    "text/plain",
    "text/spdx",
    "application/spdx+json",
    "application/vnd.cyclonedx+json",
    "application/vnd.in-toto+json",
    mediatype.SIMPLE_SIGNING,
    mediatype.DSSE,
    mediatype.SIGSTORE_BUNDLE_V03,
    "application/jose+json",
    "application/octet-stream",
    "application/vnd.example.unknown",
)
BORROWED = "a text, under a config that names a layer that runtimes have already"
BASE = tars.PROGRAMS["ustar"](0)
"""What such a config names: the layer of an ordinary image."""
RAN = {"docker": 75, "containerd": 70, "podman": 54}
"""How many of them each runtime ran when this was written."""
_PACKED = {"gzip": "gzip", "zstd": "zstd"}  # by how a layer's type ends


@dataclass(frozen=True)
class Disguise:
    """Code, and what it says that it is."""

    manifest: str
    config: str
    layer: str
    dialect: str
    packing: str

    def __str__(self) -> str:
        return f"{self.manifest}, {self.config}, {self.layer}, {self.dialect}, {self.packing}"

    @property
    def data(self) -> bytes:
        """Its layer, which is the same wherever the disguise is used."""
        return b"SPDXVersion: SPDX-2.3\n" if self.dialect == BORROWED else tars.PACKINGS[self.packing](self.tar)

    @property
    def diff_id(self) -> str:
        return tars.diff_id(BASE, "plain") if self.dialect == BORROWED else tars.diff_id(self.tar, self.packing)

    @property
    def tar(self) -> bytes:
        """Its own: what a runtime makes of it is then not what it remembers of another."""
        return (tars.PROGRAMS | tars.PRINTABLE)[self.dialect](zlib.crc32(str(self).encode()))

    def document(self, content: Content, *, subject: Document | None = None) -> Document:
        """The manifest with all that it leads to; with ``subject``, as something that refers to it."""
        config, layer = content.blob(image_config(self.diff_id), self.config), content.blob(self.data, self.layer)
        return content.manifest(config, [layer], media_type=self.manifest, subject=subject)


def image_config(*diff_ids: str) -> bytes:
    """What makes a runtime take layers for an image, under whatever type."""
    config = {"Cmd": [f"/{tars.NAME}"], "Entrypoint": [f"/{tars.NAME}"]}
    told = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": {"type": "layers", "diff_ids": list(diff_ids)}}
    return json.dumps(told).encode()


def ordinary(content: Content) -> Document:
    """The image that ``BORROWED`` borrows from: nothing about it is wrong."""
    return content.manifest(
        content.blob(image_config(tars.diff_id(BASE, "plain")), mediatype.OCI_CONFIG), [content.blob(BASE, PLAIN_LAYER)]
    )


def disguises() -> list[Disguise]:
    """All of them, each once, in an order that never changes."""
    return list(dict.fromkeys((*_one_at_a_time(), *_all_at_once())))


def _one_at_a_time() -> Iterator[Disguise]:
    for manifest, config, layer in (
        (mediatype.OCI_MANIFEST, mediatype.OCI_CONFIG, LAYER),
        (mediatype.DOCKER_MANIFEST, mediatype.DOCKER_CONFIG, DOCKER_LAYER),
    ):
        yield from (Disguise(manifest, each, layer, "ustar", "gzip") for each in CONFIGS)
        yield from (Disguise(manifest, config, each, "GNU", _packing(each)) for each in LAYERS)
        plain = PLAIN_LAYER if layer is LAYER else DOCKER_PLAIN
        yield from (Disguise(manifest, config, plain, each, "plain") for each in tars.PROGRAMS | tars.PRINTABLE)
        yield from (Disguise(manifest, config, layer, "V7", each) for each in tars.PACKINGS)
        yield from (Disguise(manifest, each, "text/spdx", BORROWED, "plain") for each in CONFIGS[:4])


def _all_at_once() -> Iterator[Disguise]:
    """Each value beside ever other ones: the lists are gone round side by side, and no two are of one length for long."""
    told = [layer for layer in LAYERS if _packing(layer) == "plain" and "tar" not in layer]
    ways: tuple[Callable[[], Iterator[str]], ...] = (
        lambda: itertools.cycle((mediatype.OCI_MANIFEST, mediatype.DOCKER_MANIFEST)),
        lambda: itertools.cycle(CONFIGS[2:-1]),
        lambda: itertools.cycle(told),
        lambda: itertools.cycle([*tars.PRINTABLE, *(each for each in tars.PROGRAMS if "NUL" in each)]),
    )
    for manifest, config, layer, dialect in itertools.islice(zip(*(way() for way in ways), strict=False), 30):
        yield Disguise(manifest, config, layer, dialect, "plain")


def _packing(layer: str) -> str:
    return next((packing for end, packing in _PACKED.items() if layer.lower().endswith(end)), "plain")
