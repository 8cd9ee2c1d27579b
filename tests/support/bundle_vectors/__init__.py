"""The bundle vectors: bundles that every reader of docs/spec/bundle-v1.md must take, and bundles that it must refuse.

Each refused one is a good bundle with one fault, sealed by whoever may seal unless that is the fault. The bytes follow from
these modules, the keys in tests/vectors, and the version of libzstd: a difference is a change of the format.
"""

from tests.support.bundle_vectors import archive, content, elsewhere, file, members, payload, sealing, taken
from tests.support.bundle_vectors.vector import Vector

VECTORS: list[Vector] = [
    vector for module in (taken, file, archive, sealing, payload, members, elsewhere, content) for vector in module.VECTORS
]
