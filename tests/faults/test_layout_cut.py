"""A layout that is written, and cut at any step of it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundler.content.layout import Layout
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.layouts import Content, push_with_evidence
from tests.support.listings import APP, index_of


def test_cut_at_any_step_the_index_lists_only_what_is_whole(tmp_path: Path) -> None:
    content = Content()
    image = content.index("words")
    content.sig(image.digest, (b"{}", b"signature"))
    content.bundle(image, b"{}")
    kills = 0
    while True:
        folder, left = tmp_path / str(kills), [kills]

        def step(operation: Callable[..., Any], left: list[int] = left) -> Callable[..., Any]:
            def stepped(*arguments: Any, **named: Any) -> Any:
                if left[0] <= 0:
                    raise KeyboardInterrupt
                left[0] -= 1
                return operation(*arguments, **named)

            return stepped

        cut = False
        with pytest.MonkeyPatch.context() as patch:
            for name in ("fsync", "replace", "open", "mkdir"):
                patch.setattr(os, name, step(getattr(os, name)))
            try:
                push_with_evidence(Layout.at(folder, create=True).repository(APP), content, image, tag="v1")
            except KeyboardInterrupt:
                cut = True
        _whole(folder)
        push_with_evidence(Layout.at(folder, create=True).repository(APP), content, image, tag="v1")
        assert len(index_of(folder)) == 3
        if not cut:
            break
        kills += 7  # each step would take a minute
    assert kills > 100


def _whole(folder: Path) -> None:
    """Whatever is listed is there with all that it leads to; every blob is what it says."""
    for path in folder.glob("blobs/*/[0-9a-f]*"):
        assert Digest(path.parent.name, path.name).same_kind_of(path.read_bytes()).encoded == path.name
    if not (folder / "index.json").exists():
        return
    layout = Layout.at(folder)
    waiting = [entry.descriptor.digest for entry in layout.entries]
    while waiting:
        document = layout.document(waiting.pop())
        assert isinstance(document, Document)
        assert all(layout.has(blob) for blob in document.blobs)
        waiting += [child.digest for child in document.children]
