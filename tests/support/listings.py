"""What an image layout lists, and how often it is looked at."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from tests.support.layouts import Content, layout_files

APP = Reference.parse("registry.example/team/app:v1")


def index_of(folder: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    return listed


class Counted:
    """The files of a layout, and how often each was read."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.read = Counter[str]()

    def size(self, name: str) -> int | None:
        return len(self._files[name]) if name in self._files else None

    def chunks(self, name: str) -> Iterator[bytes]:
        self.read[name] += 1
        yield self._files[name]

    def blobs(self) -> Iterator[Digest]:
        return (Digest(*name.split("/")[1:]) for name in sorted(self._files) if name.startswith("blobs/"))

    def close(self) -> None: ...


def listing_of(content: Content, entries: list[dict[str, Any]]) -> Counted:
    """A layout that lists these entries, in this order."""
    index = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": entries}
    return Counted(layout_files(content) | {"index.json": json.dumps(index).encode()})
