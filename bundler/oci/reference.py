"""References: ``REGISTRY/REPOSITORY[:TAG][@DIGEST]``, always fully expanded, as Docker's reference grammar expands them."""

import re
from dataclasses import dataclass, replace

from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest

MAX_NAME = 255  # distribution-spec, "Pulling manifests": many clients take no more for host and name together

# Labels end at 63 characters (RFC 1035), else resolving them ends in no error of ours.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::([1-9][0-9]{{0,4}}))?", re.ASCII)
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
# The referrers tag schema cuts the digits at 64, and not every client does. Registries that fold case take any case for the same tag.
_EVIDENCE_TAG = re.compile(r"(?:sha256-[0-9a-f]{64}|sha(?:384|512)-[0-9a-f]{64,})(?:\..*)?", re.ASCII | re.IGNORECASE)
DOCKER = "docker.io"  # where a name without a host is looked for

REF_NAME = "org.opencontainers.image.ref.name"  # annotations by which index.json names what it lists (image-spec, annotations.md),
CONTAINERD_NAME = "io.containerd.image.name"  # the second in full, as containerd and docker write it


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A registry host (with port), a repository path, and a tag, a digest or both."""

    registry: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if (
            len(self.repository) > MAX_NAME
            or not _is_host(self.registry)
            or not _PATH.fullmatch(self.path)
            or (self.registry == DOCKER and "/" not in self.path)
            or (self.tag is not None and not _TAG.fullmatch(self.tag))
        ):
            raise FormatError(
                "a reference is not well-formed",
                code=Code.FORMAT_REFERENCE,
                found=ascii(str(self)[:300]),
                wanted="[HOST[:PORT]/]PATH[:TAG][@DIGEST], path in lower case",
            )

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Expand what a person wrote: no host is docker.io, no tag and no digest is ``latest``.

        Raises FormatError (``format.reference``, ``format.digest``).
        """
        rest, at, digest = text.partition("@")
        host, slash, path = rest.partition("/")
        if not slash or not _names_a_host(host):
            host, path = DOCKER, rest
        host = host.lower() if host.isascii() else host  # K.lower() is k, which would make a name of a look-alike
        host = DOCKER if host == f"index.{DOCKER}" else host
        path, colon, tag = path.partition(":")
        if host == DOCKER and "/" not in path:
            path = f"library/{path}"
        return cls(
            registry=host,
            path=path,
            tag=tag if colon else (None if at else "latest"),
            digest=Digest.parse(digest) if at else None,
        )

    @property
    def repository(self) -> str:
        """Host and path, without tag and digest: what scopes match."""
        return f"{self.registry}/{self.path}"

    @property
    def carried(self) -> "Reference":
        """As a bundle names it: with the tag if there is one, else with the digest."""
        return replace(self, digest=None) if self.tag else self

    @property
    def names_evidence(self) -> bool:
        """Whether its tag is one under which evidence about another manifest is looked for: no image is called so."""
        return self.tag is not None and names_evidence(self.tag)

    def tagged(self, tag: str) -> "Reference":
        return replace(self, tag=tag, digest=None)

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def names_evidence(tag: str) -> bool:
    """Whether a tag has the shape of ``ALGORITHM-HEX``, alone or with an ending such as ``.sig``.

    These are the tags of distribution-spec, "Referrers Tag Schema" (``sha512-`` and the first 64 digits too), and of cosign.
    """
    return _EVIDENCE_TAG.fullmatch(tag) is not None


def _names_a_host(text: str) -> bool:
    """How a host is told from the first component of a path."""
    return "." in text or ":" in text or text == "localhost"


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and _names_a_host(text) and text != f"index.{DOCKER}" and int(found[1] or 1) <= 65535
