"""References: ``REGISTRY/REPOSITORY[:TAG][@DIGEST]``, always fully expanded, as Docker's reference grammar expands them."""

import re
from dataclasses import dataclass, replace

from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest

MAX_NAME = 255  # distribution-spec, "Pulling manifests": many clients take no more for host and name together

_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?",
    re.ASCII,
)
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A registry host (with port), a repository path, and a tag, a digest or both."""

    registry: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if (
            not _HOST.fullmatch(self.registry)
            or self.registry != self.registry.lower()
            or not _PATH.fullmatch(self.path)
            or len(self.repository) > MAX_NAME
            or (self.tag is not None and not _TAG.fullmatch(self.tag))
        ):
            raise FormatError(
                "a reference is not well-formed",
                code=Code.FORMAT_REFERENCE,
                found=ascii(f"{self.registry}/{self.path}:{self.tag}"[:300]),
                wanted="[HOST[:PORT]/]PATH[:TAG][@DIGEST], path in lower case",
            )

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Expand what a person wrote: no host is docker.io, no tag and no digest is ``latest``.

        Raises FormatError (``format.reference``, ``format.digest``).
        """
        rest, at, digest = text.partition("@")
        host, slash, path = rest.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost"):
            host, path = "docker.io", rest
        host = "docker.io" if host.lower() == "index.docker.io" else host.lower()
        path, colon, tag = path.partition(":")
        if host == "docker.io" and "/" not in path:
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

    def tagged(self, tag: str) -> "Reference":
        return replace(self, tag=tag, digest=None)

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
