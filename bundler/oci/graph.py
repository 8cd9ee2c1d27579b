"""The walk through documents: depth first, each once, and not deeper than any real image is."""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Protocol, TypeVar

from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document

MAX_DEPTH = 8  # indexes in indexes, evidence on evidence: real ones reach 3 (a signature of an SBOM of a platform)


class Node(Protocol):
    """What is walked: a document, or a descriptor of one."""

    @property
    def digest(self) -> Digest: ...


N = TypeVar("N", bound=Node)


def walk(
    roots: Iterable[N], below: Callable[[N], Iterable[N]], *, known: Container[Digest] = (), at_most: int | None = None
) -> dict[Digest, N]:
    """``roots`` and all that is below them, each once and before what is below it.

    ``below`` is asked once for each, when the walk comes to it. What is ``known`` already is passed over, with what is below it.
    Raises FormatError (``limit.depth``) for what lies more than ``at_most`` levels below its root, and what ``below`` raises.
    """
    found: dict[Digest, N] = {}
    waiting = [(root, root, 0) for root in roots][::-1]
    while waiting:
        node, root, depth = waiting.pop()
        if node.digest in found or node.digest in known:
            continue
        if at_most is not None and depth > at_most:
            raise too_deep(f"{root.digest} nests indexes")
        found[node.digest] = node
        waiting += [(each, root, depth + 1) for each in below(node)][::-1]
    return found


def listed_in(documents: Mapping[Digest, Document]) -> Callable[[Document], list[Document]]:
    """For :func:`walk`: what a document lists of ``documents``."""
    return lambda document: [documents[child.digest] for child in document.children if child.digest in documents]


def too_deep(what: str) -> FormatError:
    """That ``what`` goes deeper than MAX_DEPTH levels (``limit.depth``)."""
    return FormatError(f"{what} too deep", code=Code.LIMIT_DEPTH, wanted=f"at most {MAX_DEPTH} levels")
