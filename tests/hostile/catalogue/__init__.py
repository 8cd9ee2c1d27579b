"""All that is hostile, in one place: bundles and folders, and what of it is not a bundle by itself.

A module is a family of cases: each has a number, words, a maker, and the code that it ends with. The tests and the page
docs/hostile-cases.md are made of ``ALL``. Two modules hold what cases are made of elsewhere: ``disguises``, code under every
name that evidence goes by, which real runtimes are asked about; and ``oddities``, extensions of certificates.
"""

from tests.hostile.catalogue import evidence, folders, index, layout, manifest, runs, seal, serve, signature, tar, vectors, zstd

BUNDLES = [
    *(*tar.CASES, *zstd.CASES, *zstd.TABLE, *layout.CASES),
    *(*index.CASES, *manifest.CASES, *signature.CASES, *evidence.CASES, *seal.CASES),
]
ALL = [*BUNDLES, *vectors.rest(BUNDLES), *runs.CASES, *serve.CASES, *folders.CASES]
