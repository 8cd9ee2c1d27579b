"""Several who change one trust folder at once."""

import tomllib
from pathlib import Path

import pytest

from tests.support import signing
from tests.support.station import EXPORTER, RELEASE, STRANGER, ran, spawned, write_key, write_trust


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return write_trust(tmp_path / "trust", rules=[signing.rule(RELEASE, scope="**")], seals=[signing.seal(EXPORTER)])


def test_changes_of_one_folder_at_once_come_one_after_the_other(trust: Path, tmp_path: Path) -> None:
    """Whoever read before another wrote would write that away, and both would have ended well."""
    key = write_key(tmp_path / "stranger.key", STRANGER).with_suffix(".pub")
    before = tomllib.loads((trust / "trust.toml").read_text())["serial"]
    scopes = [f"registry.example/team-{number}/**" for number in range(6)]
    adding = [spawned("trust", "add", trust, "--image", scope, "--key", key, "--json") for scope in scopes]
    assert [ran(process).exit for process in adding] == [0] * len(scopes)
    after = tomllib.loads((trust / "trust.toml").read_text())
    assert {rule["scope"] for rule in after["rule"]} == {"**", *scopes}
    assert after["serial"] == before + len(scopes)
