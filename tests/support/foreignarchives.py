"""Archives of an image layout, as other programs write them and as nobody should."""

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bundler.bundle.foreignarchive import open_archive
from bundler.content.layout import Layout
from bundler.errors import BundlerError, Code
from bundler.oci.manifest import Document
from tests.support.layouts import Content, layout_files

BLOCK = 512


@dataclass(frozen=True)
class Case:
    """A layout with one image and all that vouches for it, and a place for an archive of it."""

    folder: Path
    content: Content
    image: Document
    members: dict[str, bytes]

    def archive(self, data: bytes) -> Path:
        path = self.folder / "layout.tar"
        path.write_bytes(data)
        return path

    def check(self, layout: Layout) -> None:
        """It is that layout."""
        assert layout.image(None).descriptor.digest == self.image.digest
        repository = layout.repository(None)
        assert repository.document(f"{self.image.digest.tag}.sig") == self.content.tags[f"{self.image.digest.tag}.sig"]
        assert len(repository.referrers(self.image.digest).listed) == 1
        for document in self.content.below(self.image):
            assert repository.document(document.digest) == document
            for blob in document.blobs:
                assert repository.has(blob)
                assert b"".join(repository.chunks(blob)) == self.content.blobs[blob.digest]


def case_in(folder: Path) -> Case:
    content = Content()
    image = content.index("words")
    content.sig(image.digest, (b"{}", b"signature"))
    content.bundle(image, b"{}")
    return Case(folder, content, image, layout_files(content, {"v1": image, **content.tags}))


def refused(path: Path) -> tuple[int, Code]:
    with pytest.raises(BundlerError) as caught, open_archive(path):
        pass
    return caught.value.exit, caught.value.code


def member(name: str | bytes, data: bytes = b"", *, type: bytes = tarfile.REGTYPE, **changed: Any) -> bytes:  # noqa: A002 - tarfile's word
    """Header and content of one member."""
    info = tarfile.TarInfo(name if isinstance(name, str) else name.decode("latin-1"))
    info.type, info.size = type, len(data)
    for key, value in changed.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % BLOCK)
