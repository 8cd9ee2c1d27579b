"""The catalogue of hostile bundles, a module a family; the numbers are those of docs/hostile-cases.md."""

from tests.hostile.catalogue import index, layout, manifest, seal, serve, signature, tar, zstd

ALL = [
    *(*tar.CASES, *zstd.CASES, *zstd.TABLE, *layout.CASES),
    *(*index.CASES, *manifest.CASES, *signature.CASES, *seal.CASES, *serve.CASES),
]
