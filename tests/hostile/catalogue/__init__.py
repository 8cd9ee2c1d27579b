"""The catalogue of hostile bundles, a module a family; the numbers are those of docs/hostile-cases.md."""

<<<<<<< HEAD
from tests.hostile.catalogue import evidence, index, layout, manifest, runs, seal, serve, signature, tar, zstd

ALL = [
    *(*tar.CASES, *zstd.CASES, *zstd.TABLE, *layout.CASES),
    *(*index.CASES, *manifest.CASES, *signature.CASES, *evidence.CASES, *seal.CASES, *runs.CASES),
=======
from tests.hostile.catalogue import evidence, index, layout, manifest, runs, seal, serve, signature, tar, zstd

ALL = [
    *(*tar.CASES, *zstd.CASES, *zstd.TABLE, *layout.CASES),
    *(*index.CASES, *manifest.CASES, *signature.CASES, *seal.CASES, *serve.CASES),
>>>>>>> part/serve
]
