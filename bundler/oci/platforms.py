"""Which of an index's children belong to the platforms that a person asked for (image-spec, image-index.md, "platform")."""

from collections.abc import Sequence

from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.manifest import REFERENCE_DIGEST, REFERENCE_TYPE

USUAL = Platform("linux", "amd64")  # what docker load takes of an image of many platforms, where nobody asked for another


def is_attestation(child: Descriptor) -> bool:
    """Whether BuildKit has put it into the index to say something of a platform beside it."""
    return child.annotations.get(REFERENCE_TYPE) == "attestation-manifest"


def is_of(child: Descriptor, wanted: Sequence[Platform]) -> bool:
    """Whether it is listed for one of the platforms ``wanted``; what names no platform is not."""
    return child.platform is not None and not is_attestation(child) and any(each.covers(child.platform) for each in wanted)


def parted(children: Sequence[Descriptor], wanted: Sequence[Platform]) -> tuple[list[Descriptor], list[Descriptor]]:
    """The children that go with the platforms ``wanted``, and the others; all go where no platform is asked for.

    In-index attestations go with the platform that they name; what names no platform is not chosen by it, and goes.
    """
    if not wanted:
        return list(children), []
    images = {str(c.digest) for c in children if not is_attestation(c) and (c.platform is None or is_of(c, wanted))}
    going: list[Descriptor] = []
    staying: list[Descriptor] = []
    for child in children:
        if is_attestation(child):
            goes = child.annotations.get(REFERENCE_DIGEST) in images
        else:
            goes = child.platform is None or is_of(child, wanted)
        (going if goes else staying).append(child)
    return going, staying


def in_order(has: Sequence[Platform], wanted: Sequence[Platform]) -> tuple[str, ...]:
    """First the one that ``docker load`` shall take: the first asked for, else the most usual."""
    first = wanted[0] if wanted else USUAL
    return tuple(dict.fromkeys(str(platform) for platform in sorted(has, key=lambda platform: not first.covers(platform))))
