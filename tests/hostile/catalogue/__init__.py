"""The catalogue of hostile bundles, a module a family; the numbers are those of docs/hostile-cases.md."""

from tests.hostile.catalogue import evidence, index, layout, manifest, runs, seal, serve, signature, tar, zstd

ALL = [
    *(*tar.CASES, *zstd.CASES, *zstd.TABLE, *layout.CASES),
    *(*index.CASES, *manifest.CASES, *signature.CASES, *evidence.CASES, *seal.CASES, *runs.CASES, *serve.CASES),
]
