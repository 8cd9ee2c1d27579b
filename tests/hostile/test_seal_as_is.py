"""scripts/seal-as-is: whatever a folder holds is sealed truthfully, and refused for what it is.

Each hostile layout comes in a bundle that is validly signed, where the inner rule must refuse it by itself.
"""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from bundler.errors import BundlerError, Code
from bundler.oci.digest import Digest
from tests.support.bundles import Bundle, content_of
from tests.support.layouts import Content
from tests.support.signing import EXPORTER, OTHER
from tests.support.station import write_key

ROOT = Path(__file__).parents[2]
APP = "registry.example/app:v1"
PASSWORD = "correct horse"


@pytest.fixture
def bundle() -> Bundle:
    content = Content()
    root = content.index()
    content.sig(root.digest, (b"payload", b"signature"))
    content.artifact(b"sbom", subject=content.documents[root.children[0].digest])
    return Bundle.of(content, {APP: root}, trust=[EXPORTER.pem], sequence=41, stream="platform")


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    """The bundle, as tar --zstd extracts it."""
    bundle.write(tmp_path / "honest")
    with zstandard.open(tmp_path / "honest") as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            path = tmp_path / "folder" / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read())
    return tmp_path / "folder"


def sealed(folder: Path, *options: str, password: str | None = None) -> Path:
    keys, out = write_key(folder.parent / "sealer.key", EXPORTER, passphrase=password), folder.parent / "hostile.oci.tar.zst"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | ({"OCI_BUNDLER_PASSWORD": password} if password else {})
    command: list[str | Path] = [sys.executable, ROOT / "scripts/seal-as-is", folder, "--key", keys, "-o", out, *options]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return out


def refusal(path: Path) -> tuple[int, Code]:
    """How a reader of the format ends on it, whose seal is in order."""
    try:
        with content_of(path) as content:
            faults = content.verify().faults
            content.check_derived()
    except BundlerError as error:
        faults = (error,)
    return min((fault.exit, fault.code) for fault in faults)


def blob(bundle: Bundle, kind: str, number: int = 0) -> str:
    return [member.path for member in bundle.seal.members if member.kind == kind][number]


def test_an_honest_folder_gives_the_honest_bundle_again(folder: Path) -> None:
    assert sealed(folder).read_bytes() == (folder.parent / "honest").read_bytes()


def test_a_folder_without_a_seal_and_a_key_with_a_password(folder: Path, bundle: Bundle) -> None:
    (folder / "oci-bundler/seal.json").unlink()
    with content_of(sealed(folder, "--stream", "other", password=PASSWORD)) as content:
        assert content.verify().passed
        content.check_derived()
        assert content.seal.stream == "other"
        assert (content.seal.images, content.seal.members) == (bundle.seal.images, bundle.seal.members)
        assert content.seal.lookups == bundle.seal.lookups


def test_derived_documents_can_be_made_anew(folder: Path) -> None:
    for name in ("oci-layout", "manifest.json"):
        (folder / name).write_bytes(b"anything")
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index, indent=1))
    assert refusal(sealed(folder)) == (3, Code.FORMAT_DERIVED)
    with content_of(sealed(folder, "--derive")) as content:
        assert content.verify().passed
        content.check_derived()


Spoil = Callable[[Path, Bundle], object]


def flip(name: Callable[[Bundle], str]) -> Spoil:
    def spoil(folder: Path, bundle: Bundle) -> None:
        data = bytearray((folder / name(bundle)).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name(bundle)).write_bytes(data)

    return spoil


def remove(name: Callable[[Bundle], str]) -> Spoil:
    return lambda folder, bundle: (folder / name(bundle)).unlink()


def add(name: str, data: bytes) -> Spoil:
    def spoil(folder: Path, bundle: Bundle) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return spoil


SMUGGLED = Digest.of(b"smuggled")


@pytest.mark.parametrize(
    ("spoil", "exit", "code"),
    [
        pytest.param(flip(lambda b: blob(b, "blob")), 4, Code.CONTENT_DIGEST, id="layer, one bit (LAY-010)"),
        pytest.param(flip(lambda b: blob(b, "config")), 4, Code.CONTENT_DIGEST, id="config, one bit (LAY-011)"),
        pytest.param(flip(lambda b: blob(b, "document", 1)), 4, Code.CONTENT_DIGEST, id="manifest, one bit (LAY-012)"),
        pytest.param(lambda f, b: (f / blob(b, "blob")).write_bytes(b""), 4, Code.CONTENT_DIGEST, id="layer, empty (LAY-015)"),
        pytest.param(remove(lambda b: blob(b, "blob")), 4, Code.CONTENT_MISSING, id="no layer (LAY-007)"),
        pytest.param(remove(lambda b: blob(b, "config")), 4, Code.CONTENT_MISSING, id="no config (LAY-008)"),
        pytest.param(remove(lambda b: blob(b, "document", 0)), 4, Code.CONTENT_MISSING, id="no image (LAY-009)"),
        pytest.param(remove(lambda b: blob(b, "document", 1)), 4, Code.CONTENT_MISSING, id="no platform (LAY-009)"),
        pytest.param(remove(lambda b: blob(b, "evidence")), 4, Code.CONTENT_MISSING, id="no signed payload"),
        pytest.param(remove(lambda b: "oci-layout"), 3, Code.FORMAT_SEAL, id="no oci-layout (LAY-001)"),
        pytest.param(remove(lambda b: "index.json"), 3, Code.FORMAT_SEAL, id="no index.json (LAY-002)"),
        pytest.param(add("oci-layout", b'{"imageLayoutVersion":"2.0.0"}'), 3, Code.FORMAT_DERIVED, id="another version (LAY-003)"),
        pytest.param(add(f"blobs/sha256/{SMUGGLED.encoded}", b"smuggled"), 3, Code.FORMAT_SEAL, id="a blob nobody needs (LAY-017)"),
        pytest.param(add(f"blobs/sha256/{'0' * 64}", b"smuggled"), 4, Code.CONTENT_DIGEST, id="and under another name (LAY-018)"),
        pytest.param(add(f"blobs/sha256/{SMUGGLED.encoded}.tmp", b"smuggled"), 3, Code.FORMAT_SEAL, id="with a suffix (LAY-023)"),
        pytest.param(add("blobs/md5/" + "0" * 32, b"x"), 3, Code.FORMAT_SEAL, id="blobs/md5 (LAY-019)"),
        pytest.param(add("repositories", b"{}"), 3, Code.FORMAT_SEAL, id="repositories (LAY-027)"),
        pytest.param(add("install.sh", b"#!/bin/sh\n"), 3, Code.FORMAT_SEAL, id="a script (TAR-026)"),
        pytest.param(add("audit.log", b"x\n"), 3, Code.FORMAT_SEAL, id="audit.log (TAR-024)"),
        pytest.param(add("manifest.json", b"[]"), 3, Code.FORMAT_DERIVED, id="another manifest.json (LAY-026)"),
        pytest.param(add("index.json", b'{"schemaVersion":2,"manifests":[]}'), 3, Code.FORMAT_SEAL, id="no image at all (LAY-028)"),
        pytest.param(add("index.json", b"\xff"), 3, Code.FORMAT_SEAL, id="an index that is no JSON (IDX-012)"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_refused_although_it_is_sealed(
    folder: Path,
    bundle: Bundle,
    spoil: Spoil,
    exit: int,  # noqa: A002
    code: Code,
) -> None:
    spoil(folder, bundle)
    assert refusal(sealed(folder)) == (exit, code)


@pytest.mark.parametrize(
    ("options", "exit", "code"),
    [
        (("--set", "sequence=-1"), 3, Code.FORMAT_SEAL),
        (("--set", 'stream="../x"'), 3, Code.FORMAT_SEAL),
        (("--set", "format=2"), 3, Code.FORMAT_VERSION),
        (("--set", "unknown=null"), 3, Code.FORMAT_SEAL),
        (("--set", "images=[]"), 3, Code.FORMAT_SEAL),
        (("--set", "lookups=[]"), 3, Code.FORMAT_SEAL),
        (("--set", "members=[]"), 3, Code.FORMAT_SEAL),
    ],
)
def test_a_seal_can_say_anything(folder: Path, options: tuple[str, ...], exit: int, code: Code) -> None:  # noqa: A002
    assert refusal(sealed(folder, *options)) == (exit, code)


def test_members_can_lie_in_any_order(folder: Path, bundle: Bundle) -> None:
    names = [member.path for member in bundle.seal.members]
    (folder.parent / "order").write_text("\n".join([*names[:3], *reversed(names[3:])]))
    assert refusal(sealed(folder, "--order", str(folder.parent / "order"))) == (3, Code.FORMAT_SEAL)


def test_several_keys_can_seal(folder: Path) -> None:
    other = write_key(folder.parent / "other.key", OTHER)
    path = sealed(folder, "--key", str(other))
    for each in (EXPORTER, OTHER):
        with content_of(path, each) as content:
            assert content.seal.stream == "platform"
