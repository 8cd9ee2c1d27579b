"""A file that was split is told by its name and by not being a bundle, with the command that joins it."""

import subprocess
from pathlib import Path

import pytest

from bundler.bundle.archive import opened
from bundler.bundle.parts import joining
from bundler.errors import BundlerError
from tests.support.bundles import Bundle
from tests.support.cases import each
from tests.support.layouts import Content

SAID = "it looks like a part of a split file; join all of them, in their order: "


@each(
    ("name", "command"),
    [
        ("app.oci.tar.zst.001of007", "cat app.oci.tar.zst.[0-9]*of007 > app.oci.tar.zst"),
        ("app.oci.tar.zst.3of7", "cat app.oci.tar.zst.[0-9]*of7 > app.oci.tar.zst"),
        ("app.oci.tar.zst.001", "cat app.oci.tar.zst.[0-9]* > app.oci.tar.zst"),
        ("app.oci.tar.zst.01", "cat app.oci.tar.zst.[0-9]* > app.oci.tar.zst"),
        ("app.oci.tar.zst.1", "cat app.oci.tar.zst.[0-9]* > app.oci.tar.zst"),
        ("release.002", "cat release.[0-9]* > release"),
        ("app.oci.tar.zst.part1", "cat app.oci.tar.zst.part[0-9]* > app.oci.tar.zst"),
        ("app.part-12", "cat app.part-[0-9]* > app"),
        ("app.oci.tar.zst.aa", "cat app.oci.tar.zst.?? > app.oci.tar.zst"),
        ("app.oci.tar.zst.aab", "cat app.oci.tar.zst.??? > app.oci.tar.zst"),
        ("xab", "cat x?? > NAME.oci.tar.zst"),
        ("xaab", "cat x??? > NAME.oci.tar.zst"),
        ("x01", "cat x[0-9]* > NAME.oci.tar.zst"),
        ("/media/usb 1/app.zst.aa", "cat '/media/usb 1/app.zst.'?? > '/media/usb 1/app.zst'"),
        ("/media/usb/xaa", "cat /media/usb/x?? > /media/usb/NAME.oci.tar.zst"),
        ("$(reboot).001", "cat '$(reboot).'[0-9]* > '$(reboot)'"),
    ],
)
def test_the_name_of_a_part_says_how_it_is_joined(name: str, command: str) -> None:
    assert joining(Path(name)) == f"{SAID}{command}"


@each(
    "name",
    [
        *("app.oci.tar.zst", "app.oci.tar.zst.sha256", "app.oci.tar.zst.sha256.sig", "app.oci.tar.zst.asc", "app.tar.gz", "app.zip"),
        *("app-1.25", "app.1", "notes.md", "x", "xa", "xyzzy", ".001", "app.partial", "app.parts", "app.zst.", "app.zst.AA"),
    ],
)
def test_another_name_says_nothing(name: str) -> None:
    assert joining(Path(name)) is None


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    content = Content()
    path = tmp_path / "app.oci.tar.zst"
    Bundle.of(content, {"registry.example/app:1": content.image()}).write(path)
    return path


def test_each_part_says_how_and_what_it_says_makes_the_bundle_again(bundle: Path) -> None:
    data, count = bundle.read_bytes(), 5
    (bundle.parent / f"{bundle.name}.sha256").write_text("beside it")
    size = -(-len(data) // count)
    parts = [bundle.with_name(f"{bundle.name}.{number + 1:03}") for number in range(count)]
    for number, part in enumerate(parts):
        part.write_bytes(data[number * size : (number + 1) * size])
    bundle.unlink()
    commands = []
    for part in parts:
        with pytest.raises(BundlerError) as caught, opened(part):
            pass
        assert caught.value.next is not None
        assert caught.value.next.startswith(SAID)
        commands.append(caught.value.next.removeprefix(SAID))
    subprocess.run(["sh", "-c", commands[-1]], check=True)
    assert bundle.read_bytes() == data


def test_a_part_keeps_the_code_of_what_is_wrong_with_it(bundle: Path) -> None:
    """A person may have named a bundle that is cut in this way, too."""
    bundle.with_suffix(".001").write_bytes(bundle.read_bytes()[:-9])
    bundle.with_suffix(".zst.aa").write_bytes(b"no bundle")
    for name, code in ((".001", "content.truncated"), (".zst.aa", "format.bundle")):
        with pytest.raises(BundlerError) as caught, opened(bundle.with_suffix(name)):
            pass
        assert (caught.value.code, (caught.value.next or "").startswith(SAID)) == (code, True)


def test_a_whole_bundle_may_have_the_name_of_a_part(bundle: Path) -> None:
    with opened(bundle.rename(bundle.with_suffix(".001"))) as archive:
        assert archive.envelope.size


def test_a_damaged_bundle_of_another_name_is_not_called_a_part(bundle: Path) -> None:
    bundle.write_bytes(bundle.read_bytes()[:-9])
    with pytest.raises(BundlerError) as caught, opened(bundle):
        pass
    assert caught.value.next == "copy it again, and compare it with its .sha256"
