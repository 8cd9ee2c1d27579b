"""Merkle trees of transparency logs (RFC 9162, section 2.1)."""

import hashlib
from collections.abc import Iterable

from bundler.errors import Code
from bundler.trust.need import need


def leaf_hash(entry: bytes) -> bytes:
    """RFC 9162, section 2.1.1: leaves and nodes never hash alike."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162, section 2.1.1: the parent of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaf: bytes, *, index: int, size: int, path: Iterable[bytes]) -> bytes:
    """The root of a tree of ``size`` leaves that has ``leaf`` (a leaf's hash) at ``index`` if ``path`` leads there.

    RFC 9162, section 2.1.3.2. Raises TrustError (``tlog.proof``) for a path of another length or an index beyond the tree.
    """
    need(0 <= index < size, Code.TLOG_PROOF, "an inclusion proof for a place outside the tree", found=index, wanted=f"below {size}")
    at, last = index, size - 1
    node = leaf
    for sibling in path:
        need(last > 0, Code.TLOG_PROOF, "an inclusion proof is too long", wanted=f"the path in a tree of {size}")
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    need(last == 0, Code.TLOG_PROOF, "an inclusion proof is too short", wanted=f"the path in a tree of {size}")
    return node
