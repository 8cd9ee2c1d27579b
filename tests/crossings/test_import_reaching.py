"""The destination is asked before the long work, nothing of a bundle decides what, and what is tried again is said."""

import re

import pytest

from bundler.errors import Code
from bundler.serving.exchange import Request, Response
from tests.support.reach import NOBODY
from tests.support.station import STRANGER, Crossing, run


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("flags", [[], ["--verify-first"], ["--dry-run"]])
def test_a_dead_destination_is_told_before_the_bundle_is_judged(crossing: Crossing, flags: list[str]) -> None:
    """By whom what it carries is signed is wrong, too."""
    bundle = crossing.export(crossing.signed_image(key=STRANGER))
    ran = crossing.run("import", bundle, NOBODY, "--json", *flags)
    assert (ran.exit, ran.code) == (7, Code.REGISTRY_UNREACHABLE)
    lines = [line for line in ran.err.splitlines() if not line.startswith("note: ")]
    assert re.fullmatch(rf"{NOBODY}: Connection refused; trying again in 0 s \(1/5\)", lines[0])
    assert [line.rpartition(" ")[2] for line in lines[:5]] == ["(1/5)", "(2/5)", "(3/5)", "(4/5)", "(5/5)"]


@pytest.mark.usefixtures("quick")
def test_quiet_is_quiet_about_tries_too(crossing: Crossing) -> None:
    ran = crossing.run("import", crossing.export(crossing.signed_image()), NOBODY, "-q")
    assert ran.exit == 7
    assert "trying again" not in ran.err


def test_a_refused_bundle_has_asked_one_question_that_names_nothing(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image(key=STRANGER))
    assert crossing.import_(bundle, "--verify-first", prefix="mirror").exit == 5
    assert crossing.there.asked == ["GET /v2/"]


def test_what_is_not_a_bundle_asks_nothing(crossing: Crossing) -> None:
    assert crossing.run("import", crossing.keys["exporter"], crossing.there.host).exit == 3
    assert crossing.there.asked == []


def test_a_login_that_is_not_taken_is_told_before_the_bundle_is_judged(crossing: Crossing) -> None:
    wants = Response(401, {"WWW-Authenticate": 'Basic realm="r"'}, b"")
    crossing.there.before = lambda _: wants
    bundle = crossing.export(crossing.signed_image(key=STRANGER))
    ran = crossing.import_(bundle, "--json", "--username", "alice", "--password-stdin")
    assert (ran.exit, ran.code) == (7, Code.REGISTRY_CREDENTIALS)
    assert "does not let us in" in ran.json["error"]["what"]


@pytest.mark.usefixtures("quick")
def test_a_registry_that_is_busy_for_a_while_is_waited_for_and_that_is_said(crossing: Crossing) -> None:
    left = [3]

    def before(request: Request) -> Response | None:
        if request.path.endswith("/manifests/v1") and left[0]:
            left[0] -= 1
            return Response(503, {}, b"")
        return None

    crossing.there.before = before
    ran = crossing.import_(crossing.export(crossing.signed_image()))
    assert ran.exit == 0
    said = [line for line in ran.err.splitlines() if "trying again" in line]
    assert [line.rpartition(" ")[2] for line in said] == ["(1/5)", "(2/5)", "(3/5)"]
    assert said[0].startswith(f"{crossing.there.host}: 503 Service Unavailable; trying again in ")


@pytest.mark.usefixtures("quick")
def test_an_export_says_it_too(crossing: Crossing) -> None:
    image = crossing.signed_image()
    crossing.here.refuse(429, "TOOMANYREQUESTS", "slow down", when=lambda request: "/blobs/" in request.path, times=1)
    ran = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"])
    assert ran.exit == 0
    assert f"{crossing.here.host}: 429 TOOMANYREQUESTS: slow down; trying again in " in ran.err
