"""docs/howto/troubleshooting.md: every message on it is what the program prints today, and its exit code is the section's."""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundler.errors import Code
from bundler.serving.exchange import Request
from tests.docs import shell
from tests.docs.pages import DOCS, Page
from tests.support import station
from tests.support.signing import rule, seal
from tests.support.station import EXPORTER, RELEASE, STRANGER, Crossing, Image, write_key, write_trust

PAGE = Page.read(DOCS / "howto/troubleshooting.md")
NAMES = ("registry.build.example", "registry.plant.example")  # of the registries on the page
SECTIONS = {
    int(number): Page(PAGE.path, text) for number, text in re.findall(r"^## (\d+):(.*?)(?=^## |\Z)", PAGE.text, re.MULTILINE | re.DOTALL)
}
RETRIED = "trying again"  # five times, which takes twelve seconds
SHOWN = [(number, block) for number, section in SECTIONS.items() for block in section.blocks("console")]


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    with Crossing(tmp_path_factory.mktemp("crossing")) as running:
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, crossing: Crossing) -> Path:
    """A folder with what the page's commands name: good and bad bundles, keys, trust; and what its registries hold."""
    folder = tmp_path_factory.mktemp("desk")
    for name, key in {"exporter": EXPORTER, "stranger": STRANGER}.items():
        write_key(folder / f"{name}.key", key)
    write_key(folder / "locked.key", EXPORTER, passphrase="of the vault")
    for name in ("trust", "open-to-all"):
        write_trust(folder / name, rules=[rule(RELEASE, scope="**")], seals=[seal(EXPORTER)])
    (folder / "open-to-all").chmod(0o777)
    app = crossing.signed_image("team/app:1.0")
    tool = crossing.push(crossing.content.image("tool"), "team/tool:1.0")
    other = crossing.signed_image("team/app:2.0", words="other")
    _bundle(folder, "release", app)
    _bundle(folder, "strange", app, key="stranger")
    _bundle(folder, "last-year", app, "--expires", "30d", SOURCE_DATE_EPOCH="1700000000")
    _bundle(folder, "other", other)
    _bundle(folder, "older", app, "--sequence", "1")
    for name in ("station", "lost-station"):
        assert station.run("station", "init", folder / name, "--name", "plant-7").exit == 0
    (folder / "lost-station/state.json").unlink()
    _bundle(folder, "mixed", app, tool, "--allow-unsigned")
    taken = f"{crossing.there.host}/taken"
    flags = ("--trust", folder / "trust", "--station", folder / "station")
    assert station.run("import", folder / "release.oci.tar.zst", f"{crossing.there.host}/before", *flags).exit == 0
    assert station.run("import", folder / "release.oci.tar.zst", taken, "--trust", folder / "trust").exit == 0
    good = (folder / "release.oci.tar.zst").read_bytes()
    (folder / "damaged.oci.tar.zst").write_bytes(good[:3000] + b"damaged!" + good[3008:])
    (folder / "cut.oci.tar.zst").write_bytes(good[:3000])
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photograph" * 100)
    (folder / "broken/blobs").mkdir(parents=True)
    (folder / "broken/oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "broken/index.json").write_text('{"schemaVersion":2,"manifests":"none"}')
    return folder


@pytest.fixture(autouse=True)
def as_ever(crossing: Crossing, desk: Path) -> Iterator[None]:
    """The registries answer, but for a repository that wants a login; and the program is whole again after a test."""
    crossing.here.before = lambda _: None
    crossing.there.refuse(401, "UNAUTHORIZED", when=lambda request: request.path.startswith("/v2/locked/"))
    yield
    (desk / "zstandard.py").unlink(missing_ok=True)


def _bundle(folder: Path, name: str, *given: Image | str, key: str = "exporter", **env: str) -> None:
    """A bundle of these images, all under the name of the first one's application; what is not an image is an option."""
    images = [image for image in given if isinstance(image, Image)]
    (folder / "images.txt").write_text("".join(f"{i.reference} registry.example/{i.path}:1.0\n" for i in images))
    words = [word for word in given if isinstance(word, str)]
    path = folder / f"{name}.oci.tar.zst"
    done = station.run("export", "--images", folder / "images.txt", "-o", path, "--key", folder / f"{key}.key", *words, env=env)
    assert done.exit == 0, done.err


def _typed(number: int, block: str, desk: Path, crossing: Crossing) -> tuple[str, str, int]:
    """What the page shows, what is printed, and the exit code; the names of the page are those of the registries here."""
    for name, registry in zip(NAMES, (crossing.here, crossing.there), strict=True):
        block = block.replace(name, registry.host)
    prompt, shown = block.split("\n", 1)
    if number == 1:  # the tool is run by `python -m`, which looks here first
        (desk / "zstandard.py").write_text("raise RuntimeError('damaged')\n")
    process = subprocess.Popen(
        ["bash", "-c", f"exec {prompt.removeprefix('$ ')}"],
        cwd=desk,
        env=shell.environment(desk, {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if number == 130:  # once: a person who presses twice may cut the last words, too
        for registry in (crossing.here, crossing.there):
            registry.before = _interrupting(process, iter([signal.SIGINT]))
    printed, _ = process.communicate(timeout=240)
    return shown, printed, process.returncode


def _interrupting(process: subprocess.Popen[str], signals: Iterator[signal.Signals]) -> Callable[[Request], None]:
    """Sends the process each of these when it asks for something."""

    def before(_: Request) -> None:
        if (number := next(signals, None)) is not None:
            process.send_signal(number)

    return before


@pytest.mark.parametrize(
    ("number", "block"),
    [
        pytest.param(
            *each, marks=[pytest.mark.slow] * (RETRIED in each[1]), id=f"{each[0]}-{each[1].partition(chr(10))[0].removeprefix('$ ')}"
        )
        for each in SHOWN
    ],
)
def test_the_command_prints_what_the_page_shows_and_ends_as_its_section_says(
    number: int, block: str, desk: Path, crossing: Crossing
) -> None:
    shown, printed, exit_code = _typed(number, block, desk, crossing)
    assert not shell.differs(shown, printed), shell.differs(shown, printed)
    assert exit_code == number, printed


def test_every_exit_code_but_that_of_success_has_two_messages() -> None:
    [table] = Page.read(DOCS / "reference/exit-codes.md").tables
    assert [str(number) for number in SECTIONS] == [row["exit"] for row in table.rows if row["exit"] != "0"]
    assert all(len(section.blocks("console")) >= 2 for section in SECTIONS.values())


def test_the_reason_of_each_message_is_linked_in_its_section() -> None:
    for number, block in SHOWN:
        for code in {word for word in re.findall(r"[a-z]+(?:[.-][a-z-]+)*", block) if word in set(Code)} - {"usage"}:
            link = f"[`{code}`](../reference/reason-codes.md#{code.partition('.')[0]})"
            assert link in SECTIONS[number].prose, f"{number} shows {code}, and does not link to it"
