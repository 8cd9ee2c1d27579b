"""docs/howto/ci.md: both files are read, and their commands run as the runners would run them, secrets included."""

import base64
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs import shell
from tests.docs.pages import DOCS, Page
from tests.support import station
from tests.support.signing import rule, seal
from tests.support.station import EXPORTER, RELEASE, Crossing, write_key, write_trust

PAGE = Page.read(DOCS / "howto/ci.md")
GITLAB, GITHUB = (yaml.safe_load(block) for block in PAGE.blocks("yaml"))
SECRETS = ("EXPORTER_KEY", "OCI_BUNDLER_PASSWORD", "REGISTRY_LOGIN")
PASSPHRASE = "of the vault"
INSTALL = ("venv", "pip", "/opt/oci-bundler")  # howto/install.md's, which test_install.py runs


@dataclass(frozen=True)
class Pipeline:
    """What of it is run, in order, and where it finds what."""

    commands: tuple[str, ...]
    last: tuple[str, ...]
    """What is run whatever happened."""
    artefacts: str
    env: Mapping[str, str]


def _gitlab(folder: Path) -> Pipeline:
    job = GITLAB["bundle"]
    key = folder / "secret-file"  # as a variable of type File: everybody may read it
    key.write_bytes((folder / "locked.key").read_bytes())
    key.chmod(0o666)
    given = {"EXPORTER_KEY": str(key), "OCI_BUNDLER_PASSWORD": PASSPHRASE, "REGISTRY_LOGIN": _login(folder), "CI_COMMIT_TAG": "v1.2"}
    env = given | {name: _filled(text, given) for name, text in job["variables"].items()}
    commands = [line for line in [*job["before_script"], *job["script"]] if not _installs(line)]
    home = {"HOME": str(folder / "tmp")}
    [artefacts] = job["artifacts"]["paths"]
    return Pipeline(tuple(commands), tuple(job["after_script"]), artefacts, env | home)


def _github(folder: Path) -> Pipeline:
    job = GITHUB["jobs"]["bundle"]
    export, forget = (next(step for step in job["steps"] if step.get("name") == name) for name in ("Export", "Forget the key"))
    assert forget["if"] == "always()"
    [upload] = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    given = {
        "secrets.EXPORTER_KEY": (folder / "locked.key").read_text().rstrip("\n"),
        "secrets.OCI_BUNDLER_PASSWORD": PASSPHRASE,
        "secrets.REGISTRY_LOGIN": _login(folder),
        "github.ref_name": "v1.2",
    }
    env = {name: re.sub(r"\$\{\{ (\S+) \}\}", lambda m: given[m[1]], text) for name, text in (job["env"] | export["env"]).items()}
    runner = {"RUNNER_TEMP": str(folder / "tmp"), "GITHUB_PATH": str(folder / "path")}
    return Pipeline((export["run"],), (forget["run"],), upload["with"]["path"], env | runner)


RUNNERS = {"gitlab": _gitlab, "github": _github}


def _installs(line: str) -> bool:
    return any(word in line for word in INSTALL)


def _filled(text: str, given: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda m: given[m[1]], text)


def _login(folder: Path) -> str:
    return (folder / "login.json").read_text()


@pytest.fixture
def desk(tmp_path: Path, crossing: Crossing) -> Path:
    """A checkout, with what the page says lies in it, and the secrets beside."""
    folder = tmp_path / "desk"
    (folder / "release").mkdir(parents=True)
    (folder / "tmp").mkdir()
    write_key(folder / "locked.key", EXPORTER, passphrase=PASSPHRASE)
    write_trust(folder / "release/trust", rules=[rule(RELEASE, scope="**")], seals=[seal(EXPORTER, stream="releases")])
    image = crossing.signed_image("team/app:1.0")
    (folder / "release/images.txt").write_text(f"{image.reference} registry.example/team/app:1.0\n")
    entry = base64.b64encode(b"reader:secret").decode()
    (folder / "login.json").write_text(json.dumps({"auths": {crossing.here.host: {"auth": entry}}}))
    return folder


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_release_is_exported_with_the_key_and_verified(desk: Path, runner: str) -> None:
    pipeline = RUNNERS[runner](desk)
    *_, printed = shell.run(list(pipeline.commands), desk, env=pipeline.env)
    assert "PASSED: 1 image may enter" in printed
    made = sorted(path.name for path in desk.glob(pipeline.artefacts))
    assert made == [f"release-v1.2.oci.tar.zst{end}" for end in ("", ".sha256", ".sha256.sig")]
    assert PASSPHRASE not in printed
    claims = station.run("inspect", desk / made[0], "--json").json["claims"]
    assert claims["stream"] == "releases"
    assert claims["expires"] is not None


@pytest.mark.parametrize("runner", RUNNERS)
def test_only_its_owner_reads_the_key_and_it_is_gone_at_the_end(desk: Path, runner: str) -> None:
    pipeline = RUNNERS[runner](desk)
    shell.run(list(pipeline.commands), desk, env=pipeline.env)
    key = desk / "tmp/exporter.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key not in set(desk.glob(pipeline.artefacts))
    shell.run(list(pipeline.last), desk, env=pipeline.env)
    assert not key.exists()


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_image_that_nobody_signed_ends_the_pipeline_without_a_bundle(desk: Path, crossing: Crossing, runner: str) -> None:
    unsigned = crossing.push(crossing.content.image("unsigned"), "team/tool:1.0")
    with (desk / "release/images.txt").open("a") as images:
        images.write(f"{unsigned.reference} registry.example/team/tool:1.0\n")
    pipeline = RUNNERS[runner](desk)
    with pytest.raises(AssertionError, match="the shell ended with 5"):
        shell.run(list(pipeline.commands), desk, env=pipeline.env)
    assert not list(desk.glob(pipeline.artefacts))


@pytest.mark.parametrize("whole", [GITLAB, GITHUB], ids=RUNNERS)
def test_no_secret_is_in_a_command_and_each_secret_of_the_page_is_used(whole: Any) -> None:
    [_, secrets] = PAGE.tables
    assert [row["name"].strip("`") for row in secrets.rows] == list(SECRETS)
    text = json.dumps(whole)
    assert all(name in text for name in SECRETS if name != "OCI_BUNDLER_PASSWORD")  # GitLab gives a job its variables unasked
    assert "password" not in " ".join(re.findall(r"oci-bundler [^\"]*", text))


def test_actions_are_pinned_by_commit_and_say_which_version_that_is() -> None:
    [_, github] = PAGE.blocks("yaml")
    used = re.findall(r"uses: (.*)", github)
    assert len(used) == 3
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in used)
    assert GITHUB["permissions"] == {"contents": "read"}


def test_the_program_is_installed_from_the_repository_alone() -> None:
    lines = GITLAB["bundle"]["before_script"]
    steps = [line for step in GITHUB["jobs"]["bundle"]["steps"] if step.get("name") == "Install" for line in step["run"].splitlines()]
    for commands in (lines, steps):
        [installed] = [line for line in commands if "pip" in line]
        assert installed.endswith(" install --no-index --find-links release/wheels oci-bundler")
