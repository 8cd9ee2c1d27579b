"""What people and scripts read: the answer first, one JSON object, nothing a terminal obeys, and an end that says how it went."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bundler.bundle.archive import opened
from bundler.cli import terminal
from bundler.cli.terminal import Terminal, escaped
from bundler.errors import Code
from bundler.stations import holdings, truststore
from tests.support import signing
from tests.support.bundles import Bundle
from tests.support.layouts import Content
from tests.support.station import EXPORTER, RELEASE, STRANGER, Crossing, Image, Ran, ran, run, spawned, write_trust

ANSI = re.compile(r"\x1b\[")
TRUST = ["init", "add", "remove", "list", "check"]
GROUPS = {"trust": TRUST, "station": ["init"], "receipt": ["show", "verify"]}
COMMANDS = ["export", "verify", "import", "extract", "inspect", "diff", "sign", "keygen", "trust", "station", "status", "receipt", "serve"]


# --- the first line is the answer ---


def test_what_passes_says_so_first(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    assert crossing.run("verify", bundle).first == "PASSED: 1 image may enter"
    assert crossing.import_(bundle).first == "PASSED: 1 image verified and imported"


def test_what_is_refused_says_so_first_with_what_found_wanted_and_next(crossing: Crossing) -> None:
    image = crossing.signed_image(key=STRANGER)
    said = crossing.run("verify", crossing.export(image))
    assert said.exit == 5
    assert said.first == "REFUSED: 1 of 1 image may not enter"
    rows = said.out.splitlines()
    assert rows[-6:] == [
        "policy.threshold: not enough of the rule's signers have signed",
        f"refused  {image.reference}  {image.root.digest.encoded[:12]}",
        "  rule **: signed by 0, wanted 1 of the rule's 1 signers",
        "  signed by a key that the rule does not name, or altered since",
        "  next: have it signed by those whom the rule names, and export it again",
        said.first,
    ]
    assert "key.unknown" in crossing.run("verify", f"docker://{image.reference}", "-v").out


def test_a_seal_by_a_stranger_says_whose_it_is_and_what_to_do(crossing: Crossing) -> None:
    bundle = crossing.folder / "b"
    run("export", crossing.signed_image().reference, "-o", bundle, "--key", crossing.keys["stranger"])
    said = crossing.run("verify", bundle)
    assert (said.exit, said.first) == (5, "REFUSED: the bundle's seal is not trusted here (seal.signature)")
    assert "signature 1 is by no key that may seal" in said.out
    assert "next: if this exporter is to be trusted" in said.out


def test_each_image_has_its_row_and_its_signers(crossing: Crossing) -> None:
    images = [crossing.signed_image(f"team/{name}:v1", words=name) for name in ("one", "two")]
    bundle = crossing.export(*images)
    said = crossing.run("verify", bundle).out
    for image in images:
        assert f"ok  {image.reference}  {image.root.digest.encoded[:12]}  {RELEASE.fingerprint[:19]}…\n" in said
    assert "content  ok, " in said
    assert f"seal     ok, by {EXPORTER.fingerprint[:19]}…" in said
    whole = crossing.run("verify", bundle, "-v").out
    assert whole.count(f"signed by key {RELEASE.fingerprint} (sig; 1 manifest)") == 2
    assert all(f"         {image.root.digest}\n" in whole for image in images)
    assert EXPORTER.fingerprint in whole


def test_quiet_is_the_first_line_alone(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    said = crossing.run("verify", bundle, "-q")
    assert (said.out, said.err) == ("PASSED: 1 image may enter\n", "")
    done = run("export", crossing.signed_image().reference, "-o", crossing.folder / "q", "--key", crossing.keys["exporter"], "-q")
    assert len(done.out.splitlines()) == 1
    assert done.err == ""


def test_quiet_never_hides_an_error(crossing: Crossing) -> None:
    said = crossing.run("verify", "/nowhere", "-q")
    assert said.exit == 2
    assert "usage.input" in said.err


def test_verbose_shows_every_check(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    assert "ECDSA P-256" not in crossing.run("verify", bundle).out
    assert f"ECDSA P-256 with SHA256 by {RELEASE.fingerprint}" in crossing.run("verify", bundle, "-vv").out


def test_results_go_to_stdout_and_all_else_to_stderr(crossing: Crossing) -> None:
    image = crossing.signed_image()
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "-v")
    assert "no trust here" in done.err
    assert "asking about" in done.err
    assert "no trust here" not in done.out
    failed = crossing.run("verify", "/nowhere")
    assert failed.out == ""


# --- JSON ---


def all_ends(crossing: Crossing) -> dict[str, Ran]:
    good = crossing.export(crossing.signed_image(), to="good")
    bad = crossing.export(crossing.signed_image("team/bad:v1", key=STRANGER, words="bad"), to="bad")
    damaged = crossing.folder / "damaged"
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    sealed = crossing.folder / "sealed"
    run("export", crossing.signed_image().reference, "-o", sealed, "--key", crossing.keys["stranger"])
    image = f"docker://{crossing.signed_image().reference}"
    return {
        "verify passed": crossing.run("verify", good, "--json"),
        "verify refused": crossing.run("verify", bad, "--json"),
        "verify damaged": crossing.run("verify", damaged, "--json"),
        "verify sealed by a stranger": crossing.run("verify", sealed, "--json"),
        "verify an image": crossing.run("verify", image, "--json"),
        "verify nothing": crossing.run("verify", "/nowhere", "--json"),
        "verify an empty file": crossing.run("verify", os.devnull, "--json"),
        "import": crossing.import_(good, "--json"),
        "import refused": crossing.import_(bad, "--json"),
        "extract": crossing.run("extract", good, image.removeprefix("docker://"), "--to", f"oci:{crossing.folder / 'x'}", "--json"),
        "inspect": run("inspect", good, "--json"),
        "no such option": run("verify", "--json", "--no-such-option"),
        "no argument": run("import", "--json"),
    }


def test_every_end_is_one_json_object_on_stdout(crossing: Crossing) -> None:
    for name, end in all_ends(crossing).items():
        assert end.out.count("\n") == 1, name
        said = end.json
        assert isinstance(said, dict), name
        assert end.out.isascii()
        if "error" in said:
            assert set(said) == {"error"}, name
            assert set(said["error"]) == {"code", "exit", "what", "found", "wanted", "next"}, name
            assert said["error"]["exit"] == end.exit, name
            assert said["error"]["code"] in set(map(str, Code)), name
            assert end.exit not in {0, 9}, name


def test_a_verdict_has_the_members_it_was_promised_with_and_null_where_there_is_nothing(crossing: Crossing) -> None:
    ends = all_ends(crossing)
    for name in (
        "verify passed",
        "verify refused",
        "verify sealed by a stranger",
        "verify an image",
        "import",
        "import refused",
        "extract",
    ):
        said = ends[name].json
        assert set(said) == {"passed", "trust", "bundle", "seal", "images", "content", "station", "receipt"}, name
        assert set(said["trust"]) == {"path", "digest"}
        for image in said["images"]:
            assert set(image) == {
                *(
                    "reference",
                    "digest",
                    "mediaType",
                    "platforms",
                    "left_out",
                    "passed",
                    "rule",
                    "signers",
                    "other_signers",
                    "reasons",
                    "checks",
                ),
                "destination",
                "state",
            }
            for signer in image["signers"]:
                assert set(signer) == {"kind", "id", "name", "form", "node"}
            for other in image["other_signers"]:
                assert set(other) == {"kind", "id", "name", "proved", "form", "node"}
            for check in image["checks"]:
                assert set(check) == {"name", "outcome", "code", "detail", "subject", "spec"}
                assert check["outcome"] in {"passed", "failed", "not-checked", "unsigned"}
    passed = ends["verify passed"].json
    assert set(passed["bundle"]) == {"identity", "stream", "sequence", "previous", "created", "expires", "base", "elsewhere"}
    assert (passed["bundle"]["previous"], passed["bundle"]["expires"]) == (None, None)
    assert set(passed["seal"]) == {"passed", "signers", "names", "reasons"}
    assert set(passed["content"]) == {"passed", "members", "bytes", "reasons"}
    stranger = ends["verify sealed by a stranger"].json
    assert (stranger["bundle"], stranger["content"], stranger["images"]) == (None, None, [])
    image = ends["verify an image"].json
    assert (image["bundle"], image["seal"], image["content"]) == (None, None, None)
    assert ends["inspect"].json["verified"] is False
    assert set(ends["inspect"].json) == {"verified", "claims"}


def test_exit_codes_are_those_of_the_contract(crossing: Crossing) -> None:
    ends = {name: end.exit for name, end in all_ends(crossing).items()}
    assert ends.pop("verify damaged") in {3, 4}
    assert ends == {
        "verify passed": 0,
        "verify refused": 5,
        "verify sealed by a stranger": 5,
        "verify an image": 0,
        "verify nothing": 2,
        "verify an empty file": 2,
        "import": 0,
        "import refused": 5,
        "extract": 0,
        "inspect": 0,
        "no such option": 2,
        "no argument": 2,
    }


def test_an_empty_bundle_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"")
    trust = write_trust(tmp_path / "trust")
    said = run("verify", tmp_path / "b", "--trust", trust, "--json")
    assert (said.exit, said.code) == (3, "format.bundle")


def test_a_rule_that_denies_is_said_with_its_reason(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    toml = crossing.trust / "trust.toml"
    repository = image.reference.rpartition(":")[0]
    toml.write_text(f'{toml.read_text()}\n[[rule]]\nscope = "{repository}"\ndeny = "moved to another house"\n')
    for words in (("verify", bundle), ("verify", f"docker://{image.reference}"), ("import", bundle, crossing.there.host)):
        ran = crossing.run(*words)
        assert ran.exit == 5
        assert "policy.denied" in ran.out
        assert "moved to another house" in ran.out
        assert "put signers in the place of `deny`" in ran.said
    assert not crossing.there.changes


# --- the time ---


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("2026-03-31T23:59:59Z", None),
        ("2026-04-01T00:00:00Z", "time.expired"),
        ("2026-04-01T01:00:00+02:00", None),
        ("2026-04-01", "time.expired"),
        ("2025-12-31T00:00:00Z", None),
        ("2025-12-30T23:59:59Z", "time.future"),
        ("9999-12-31", "time.expired"),
        ("9999-12-31T23:59:59.999999Z", "time.expired"),
        ("0001-01-01", "time.future"),
        ("0001-01-01T00:00:00Z", "time.future"),
    ],
)
def test_a_bundle_is_judged_as_of_the_time_that_is_given(at: str, reason: str | None, crossing: Crossing) -> None:
    """Made on 2026-01-01, good for 90 days; a clock may be a day slow."""
    image = crossing.signed_image()
    words = ["export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--expires", "90d"]
    assert run(*words, env={"SOURCE_DATE_EPOCH": "1767225600"}).exit == 0
    said = crossing.run("verify", crossing.folder / "b", "--at", at, "--json")
    assert said.json["seal"]["reasons"] == ([reason] if reason else [])
    assert said.exit == (5 if reason else 0)
    answer = {"time.expired": "the bundle has expired", "time.future": "the bundle was made after the time that it is judged at"}
    told = f"REFUSED: {answer[reason]} ({reason})" if reason else "PASSED: 1 image may enter"
    assert crossing.run("verify", crossing.folder / "b", "--at", at).first == told


def test_a_bundle_is_judged_as_of_when_it_was_sealed(crossing: Crossing) -> None:
    """Made on 2026-01-01, good for 90 days, which are over."""
    bundle, image = crossing.folder / "b", crossing.signed_image()
    words = ["export", image.reference, "-o", bundle, "--key", crossing.keys["exporter"], "--expires", "90d"]
    assert run(*words, env={"SOURCE_DATE_EPOCH": "1767225600"}).exit == 0
    assert crossing.run("verify", bundle, "--json").json["seal"]["reasons"] == ["time.expired"]
    sealed = crossing.run("verify", bundle, "--at", "sealed")
    assert (sealed.exit, sealed.first) == (0, "PASSED: 1 image may enter")
    assert "judged as of 2026-01-01T00:00:00Z, when those who sealed it say that they made it" in sealed.err


def test_what_nobody_trusted_has_sealed_does_not_say_as_of_when_it_is_judged(crossing: Crossing) -> None:
    bundle = crossing.folder / "b"
    assert run("export", crossing.signed_image().reference, "-o", bundle, "--key", crossing.keys["stranger"]).exit == 0
    sealed = crossing.run("verify", bundle, "--at", "sealed", "--json")
    assert (sealed.exit, sealed.json["seal"]["reasons"]) == (5, ["seal.signature"])
    assert "judged as of" not in sealed.err


def test_an_image_where_it_lies_has_no_time_of_sealing(crossing: Crossing) -> None:
    ran = crossing.run("verify", f"docker://{crossing.signed_image().reference}", "--at", "sealed", "--json")
    assert (ran.exit, ran.json["error"]["what"]) == (2, "only a bundle says when it was sealed")


@pytest.mark.parametrize("at", ["", "now", "2026-02-30", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_is_none_is_refused(at: str, crossing: Crossing) -> None:
    assert crossing.run("verify", "/nowhere", "--at", at, "--json").exit == 2


# --- what a terminal sees ---


def at_a_terminal(words: list[object], env: dict[str, str]) -> tuple[int, str]:
    controller, side = pty.openpty()
    command = [sys.executable, "-m", "bundler", *map(str, words)]
    environ = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    with subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environ | env) as process:
        os.close(side)
        seen = b""
        try:
            while data := os.read(controller, 65536):
                seen += data
        except OSError:
            pass
    os.close(controller)
    return process.returncode, seen.decode()


@pytest.mark.parametrize(
    ("env", "flags", "coloured"),
    [
        ({"TERM": "xterm"}, [], True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, [], False),
        ({"TERM": "xterm", "NO_COLOR": ""}, [], True),
        ({"TERM": "dumb"}, [], False),
        ({"TERM": "xterm"}, ["--color", "never"], False),
        ({"TERM": "xterm"}, ["--json"], False),
        ({"TERM": "dumb"}, ["--color", "always"], True),
    ],
)
def test_a_terminal_gets_colours_unless_somebody_minds(env: dict[str, str], flags: list[str], coloured: bool, crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    code, seen = at_a_terminal(["verify", bundle, "--trust", crossing.trust, *flags], env)
    assert code == 0
    assert bool(ANSI.search(seen.replace("\r\x1b[K", ""))) is coloured


def test_a_pipe_gets_neither_colour_nor_bars(crossing: Crossing) -> None:
    said = crossing.run("verify", crossing.export(crossing.signed_image()))
    assert "\x1b" not in said.out + said.err
    assert "\r" not in said.out + said.err


def drawn(capsys: pytest.CaptureFixture[str], wanted: str) -> str:
    """What stderr has got when ``wanted`` is in it, which it will be."""
    seen = ""
    while not re.search(wanted, seen):
        time.sleep(0.001)
        seen += capsys.readouterr().err
    return seen


def test_a_bar_counts_bytes_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(terminal, "REDRAWN", 0.001)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with Terminal.plain(json=False).progress("verified", 4 << 20) as report:
        report(1 << 20)
        report(1 << 20)
        drawn(capsys, r"\r\x1b\[Kverified 2\.0 MiB of 4\.0 MiB, ")
    assert capsys.readouterr().err.endswith("\r\x1b[K")


def test_a_line_takes_the_place_of_a_bar_which_comes_again_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(terminal, "REDRAWN", 0.001)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal.plain(json=False)
    with out.progress("imported", 4 << 20):
        drawn(capsys, r"\r\x1b\[Kimported 0 B of 4\.0 MiB")
        out.say("registry.example: busy\x1b[31m")
        seen = drawn(capsys, r"busy.*\n\r\x1b\[Kimported")
    assert "\r\x1b[Kregistry.example: busy\\x1b[31m\n" in seen


@pytest.mark.parametrize(("tty", "env"), [(True, {"NO_COLOR": "1", "TERM": "xterm"}), (True, {"TERM": "dumb"}), (False, {"TERM": "xterm"})])
def test_a_log_gets_lines(tty: bool, env: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: tty, raising=False)
    monkeypatch.setattr(terminal, "LOGGED", 0.001)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with Terminal.plain(json=False).progress("imported", 4 << 20) as report:
        report(1 << 20)
        seen = drawn(capsys, r"imported 1\.0 MiB of 4\.0 MiB, .*\n")
    assert "\r" not in seen
    assert "\x1b" not in seen


@pytest.mark.parametrize("how", [{"json": True, "quiet": False}, {"json": False, "quiet": True}])
def test_nobody_who_minds_gets_either(how: dict[str, bool], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(terminal, "REDRAWN", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    before = set(threading.enumerate())
    with Terminal(verbose=0, color=False, **how).progress("verified", 100) as report:
        report(100)
        assert set(threading.enumerate()) <= before
    assert capsys.readouterr().err == ""


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = terminal.Pace("imported", 100 << 20, 0.0)
    said = ""
    for second in range(1, 31):  # 1 MiB a second, then 2
        pace.add((1 if second <= 15 else 2) << 20)
        said = pace.words(float(second))
    assert said == "imported 45.0 MiB of 100.0 MiB, 2.0 MiB/s, 28 s left"


def test_what_stands_still_says_so_and_promises_nothing() -> None:
    pace = terminal.Pace("imported", 100 << 20, 0.0)
    pace.add(10 << 20)
    assert pace.words(1.0) == "imported 10.0 MiB of 100.0 MiB, 10.0 MiB/s, 9 s left"
    assert pace.words(200.0) == "imported 10.0 MiB of 100.0 MiB, nothing for 3 min"
    pace.add(1 << 20)
    assert pace.words(210.0) == "imported 11.0 MiB of 100.0 MiB, 102.4 KiB/s, 15 min left"


def test_before_the_first_byte_no_time_is_promised() -> None:
    pace = terminal.Pace("imported", 100 << 20, 0.0)
    assert pace.words(0.2) == "imported 0 B of 100.0 MiB"
    assert pace.words(5.0) == "imported 0 B of 100.0 MiB, nothing for 5 s"


def test_long_times_are_said_in_hours() -> None:
    pace = terminal.Pace("imported", 100 << 30, 0.0)
    pace.add(10 << 20)
    assert pace.words(1.0).endswith("10.0 MiB/s, 2 h 51 min left")


# --- foreign text ---


ODD = "\n\roverwritten \u202ereversed\u2066 \x7f\x9b31m end"  # what manifests may hold
EVIL = "\x1b]8;;http://evil\x07click\x1b]8;;\x07\x1b[2J\n\roverwritten \u202ereversed\u2066 \x00\x7f\x9b end"


def hostile_image(crossing: Crossing) -> Image:
    """Foreign text wherever a registry lets it stand."""
    content = crossing.content
    root = content.index(annotations={"title": ODD})
    content.att(root.digest, json.dumps(signing.envelope(signing.statement(root, EVIL), RELEASE)).encode())
    content.sig(root.digest, signing.signed(root, STRANGER, reference=EVIL), annotations={"name": ODD})
    content.artifact(b"{}", "application/" + "x" * 20, layer_type="text/spdx", subject=root, annotations={ODD: ODD})
    return crossing.push(root)


def is_harmless(text: str) -> bool:
    return all(line == escaped(line) for line in text.split("\n"))


@pytest.mark.parametrize("flags", [[], ["-v"], ["-vv"], ["--color", "never"]])
def test_nothing_that_came_from_elsewhere_is_obeyed_by_a_terminal(flags: list[str], crossing: Crossing) -> None:
    image = hostile_image(crossing)
    trust = write_trust(
        crossing.folder / "asks",
        rules=[signing.rule(RELEASE, scope="**", attestations=["https://spdx.dev/Document"], name="signed")],
        seals=[signing.seal(EXPORTER)],
    )
    bundle = crossing.export(image)
    for words in (["verify", bundle], ["verify", f"docker://{image.reference}"], ["import", bundle, crossing.there.host]):
        said = run(*words, "--trust", trust, *flags)
        assert said.exit == 5
        assert is_harmless(said.out)
        assert is_harmless(said.err)
    assert is_harmless(run("inspect", bundle).out)
    whole = run("verify", bundle, "--trust", trust, "--json")
    assert whole.out.isascii()
    assert whole.out.count("\n") == 1


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a\u202eb", "\udcff\udcfe", "-x", "--force"])
def test_a_file_name_is_obeyed_neither(name: str, crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLI-001, CLI-006, CLI-017."""
    monkeypatch.chdir(crossing.folder)
    crossing.export(crossing.signed_image()).rename(name)
    for words in (
        ["verify", "--trust", crossing.trust, "--", name],
        ["inspect", "--", name],
        ["verify", "--trust", crossing.trust, "--", name + "x"],
    ):
        said = run(*words)
        assert said.exit in {0, 2}
        assert is_harmless(said.out)
        assert is_harmless(said.err)
    assert run("verify", "--trust", crossing.trust, name).exit == (2 if name.startswith("-") else 0)


@pytest.mark.parametrize("value", ["\x1b[31m", "\u202e", "a\nb", "\udcff"])
@pytest.mark.parametrize(
    "words",
    [
        ["verify", "docker://{}", "--trust", "{trust}"],
        ["verify", "oci:{}", "--trust", "{trust}"],
        ["verify", "x", "y{}"],
        ["import", "{}", "127.0.0.1:1", "--trust", "{trust}"],
        ["import", "x", "{}"],
        ["import", "x", "127.0.0.1:1", "--map", "{}"],
        ["extract", "x", "{}", "--to", "oci:x", "--trust", "{trust}"],
        ["extract", "x", "y", "--to", "{}"],
        ["export", "{}", "-o", "x", "--key", "x"],
        ["export", "x", "-o", "{}/x", "--key", "{}"],
        ["sign", "{}", "--key", "x"],
        ["keygen", "none/{}", "--no-password"],
        ["trust", "list", "{}"],
        ["trust", "add", "{}", "--seal", "x"],
        ["serve", "{}", "--listen", "{}"],
        ["{}"],
        ["verify", "--{}"],
    ],
)
def test_whatever_is_typed_comes_back_harmless(words: list[str], value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trust = write_trust(tmp_path / "trust")
    said = run(*(word.format(value, trust=trust) for word in words))
    assert said.exit not in {0, 1}
    assert is_harmless(said.out)
    assert is_harmless(said.err), said.err


# --- streams that close ---


def cut(words: list[object], **options: Any) -> int:
    return ran(spawned(*words, **options)).exit


def test_a_reader_who_has_seen_enough_changes_no_verdict(crossing: Crossing) -> None:
    """CLI-015: ``oci-bundler verify … | head -1`` with pipefail."""
    good, bad = crossing.signed_image(), crossing.signed_image("team/bad:v1", key=STRANGER, words="bad")
    for bundle, code in ((crossing.export(good, to="good"), 0), (crossing.export(bad, to="bad"), 5)):
        for stream in ("stdout", "stderr"):
            reading, writing = os.pipe()
            os.close(reading)
            pipes: dict[str, Any] = {stream: writing}
            process = spawned("verify", bundle, "--trust", crossing.trust, "-vv", **pipes)
            os.close(writing)
            done = ran(process)
            assert done.exit == code
            assert "Traceback" not in done.err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing_else(closed: str, crossing: Crossing) -> None:
    """CLI-015: and no file takes their place."""
    bundle = crossing.export(crossing.signed_image())
    before = bundle.read_bytes()
    shell = f'exec "$0" -m bundler import "$1" "$2" --trust "$3" {closed}'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, bundle, crossing.there.host, crossing.trust], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert bundle.read_bytes() == before


def test_an_answer_that_cannot_be_written_is_no_success(crossing: Crossing) -> None:
    with Path("/dev/full").open("wb") as full:
        assert cut(["verify", crossing.export(crossing.signed_image()), "--trust", crossing.trust, "--json"], stdout=full) == 7


@pytest.mark.parametrize(
    "env", [{"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_letters_that_the_terminal_lacks_are_escaped(env: dict[str, str], crossing: Crossing) -> None:
    """CLI-014."""
    bundle = crossing.export(crossing.signed_image(), to="bündel")
    done = ran(spawned("verify", bundle, "--trust", crossing.trust, env=env))
    assert done.exit == 0, done.err
    missing = ran(spawned("verify", crossing.folder / "nicht da ü", "--trust", crossing.trust, env=env))
    assert missing.exit == 2
    assert "Traceback" not in missing.err


# --- what is no bundle ---


@pytest.mark.parametrize("kind", ["/dev/zero", "/dev/urandom", "/proc/self/mem", "fifo", "folder", "socket"])
def test_what_is_no_file_is_refused_at_once(kind: str, crossing: Crossing, tmp_path: Path) -> None:
    """CLI-002."""
    path = Path(kind) if kind.startswith("/") else tmp_path / "x"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
    for command in (
        ["verify", path, "--trust", crossing.trust],
        ["inspect", path],
        ["import", path, crossing.there.host, "--trust", crossing.trust],
    ):
        said = run(*command, "--json")
        assert said.exit in {2, 3}
        assert "Traceback" not in said.err


def test_a_bundle_and_images_are_not_verified_together(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    assert crossing.run("verify", bundle, f"docker://{image.reference}").exit == 2
    assert crossing.run("verify", bundle, bundle).exit == 2
    assert crossing.run("verify", bundle, "--as", "registry.example/x:1").exit == 2
    assert f"docker://{image.reference}" in crossing.run("verify", image.reference, image.reference).err


@pytest.mark.parametrize("name", ["registry.example/app:1.0", "127.0.0.1:5000/app:1.0", f"registry.example/app@sha256:{'a' * 64}"])
def test_an_image_in_the_place_of_a_bundle_is_told_how_to_be_named(name: str, crossing: Crossing) -> None:
    for said in (crossing.run("verify", name), crossing.import_(Path(name)), run("inspect", name)):
        assert said.exit == 2
        assert f"for an image at a registry: docker://{name}" in said.err


@pytest.mark.parametrize("name", ["some.folder/app.oci.tar.zst", "app.oci.tar.zst", "a/b:c", "/nowhere/x:1"])
def test_a_bundle_that_is_not_there_is_not_taken_for_an_image(name: str, crossing: Crossing) -> None:
    assert "docker://" not in crossing.run("verify", name).err


def test_helms_word_for_a_registry_is_told_ours(crossing: Crossing) -> None:
    said = run("export", "oci://registry.example/app:1.0", "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    assert (said.exit, said.json["error"]["next"]) == (2, "for an image at a registry: docker://registry.example/app:1.0")


# --- help ---


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), *([group, name] for group in GROUPS for name in GROUPS[group])])
def test_every_command_explains_itself(command: list[str]) -> None:
    said = run(*command, "--help")
    assert said.exit == 0
    assert said.out.startswith("Usage: oci-bundler")
    assert run(*command, "-h").out == said.out


@pytest.mark.parametrize("words", [[], ["trust"]])
def test_a_command_without_anything_shows_its_help(words: list[str]) -> None:
    said = run(*words)
    assert said.exit == 2
    assert "\nCommands:\n" in said.err
    assert "\\n" not in said.err


def test_examples_stand_as_they_are_typed() -> None:
    said = run("import", "--help").out
    assert "\n  Examples:\n    oci-bundler import release.oci.tar.zst registry.plant.example/mirror\n" in said


@pytest.mark.parametrize(
    "command", [*([name] for name in COMMANDS if name not in GROUPS), *([group, name] for group in GROUPS for name in GROUPS[group])]
)
def test_help_describes_every_argument_and_has_options_in_sections(command: list[str]) -> None:
    said = run(*command, "--help").out
    sections = re.findall(r"^([A-Z][a-z]+):$", said, re.MULTILINE)
    assert sections == [name for name in ("Arguments", "Options", "Trust", "Key", "Registry", "Output") if name in sections]
    words = said.partition("[OPTIONS]")[2].partition("\n")[0].split()
    assert {"Output", *(["Arguments"] if words else [])} <= set(sections)
    described = said.partition("\nArguments:\n")[2].partition("\n\n")[0]
    assert all(re.search(rf"(^|\s){re.escape(word)}(\s|$)", described) for word in words), described
    assert "--json" in said.partition("\nOutput:\n")[2]


def test_a_command_of_commands_cuts_nothing() -> None:
    assert "..." not in run("trust", "--help", env={"COLUMNS": "80"}).out.partition("\nCommands:\n")[2]
    assert "whose signatures which images need" in " ".join(run("trust", "--help", env={"COLUMNS": "80"}).out.split())


def test_the_version_is_said() -> None:
    assert re.fullmatch(r"oci-bundler \d+\.\d+\.\d+\S*\n", run("--version").out)
    assert run("-V").out == run("--version").out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["veriyf", "x"], "`oci-bundler verify`"), (["exprot"], "`oci-bundler export`"), (["trust", "lsit"], "`oci-bundler trust list`")],
)
def test_a_mistyped_command_is_told_which_one_was_meant(typed: list[str], meant: str) -> None:
    said = run(*typed)
    assert said.exit == 2
    assert f"did you mean {meant}?" in said.err


def test_a_word_like_no_command_is_told_where_they_are_listed() -> None:
    said = run("xyzzy", "--json")
    assert (said.exit, said.json["error"]["next"]) == (2, "see `oci-bundler --help`")
    assert said.json["error"]["wanted"].startswith("export, verify, import")


@pytest.mark.parametrize("words", [[], ["sign"], ["trust"], ["trust", "add"]])
def test_help_before_a_command_is_help_behind_it(words: list[str]) -> None:
    said = run("help", *words)
    assert (said.exit, said.out) == (0, run(*words, "--help").out)


def test_help_about_what_is_not_a_command_says_so() -> None:
    assert "`oci-bundler keygen`" in run("help", "keygn").err


def test_a_bug_ends_with_1_and_its_trace_and_shows_nothing_that_a_terminal_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError(EVIL)

    monkeypatch.setattr(truststore, "init", broken)
    said = run("trust", "init", "x", "--json")
    assert (said.exit, said.code) == (1, "internal")
    assert "ZeroDivisionError" in said.err
    assert is_harmless(said.err)


# --- inspect ---


def test_inspect_with_trust_says_who_sealed_it(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    shown = run("inspect", bundle, "--trust", crossing.trust)
    assert (shown.exit, shown.first.startswith("SEALED by ")) == (0, True)
    assert "its images and content were not judged" in shown.first
    told = run("inspect", bundle, "--trust", crossing.trust, "--json").json
    assert told["verified"] is True
    assert told["claims"] == run("inspect", bundle, "--json").json["claims"]


def test_inspect_with_trust_shows_nothing_of_a_strangers_bundle(crossing: Crossing) -> None:
    image, bundle = crossing.signed_image(), crossing.folder / "b"
    run("export", image.reference, "-o", bundle, "--key", crossing.keys["stranger"])
    shown = run("inspect", bundle, "--trust", crossing.trust, "--json")
    assert (shown.exit, shown.code) == (5, Code.SEAL_SIGNATURE)
    assert image.reference.split("/")[-1] not in shown.out + shown.err
    assert "signature 1 is by no key that may seal" in run("inspect", bundle, "--trust", crossing.trust).err
    without = run("inspect", bundle, "--json")
    assert (without.exit, without.json["verified"]) == (0, False)


def test_inspect_takes_a_trust_folder_only_if_it_is_one(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    shown = run("inspect", bundle, "--trust", crossing.folder / "nothing", "--json")
    assert (shown.exit, shown.code) == (2, Code.TRUST_MISSING)


def test_inspect_reads_no_more_than_8_mib_that_nobody_has_vouched_for(crossing: Crossing) -> None:
    """The 8 MiB are those of the payload: a bundle of many names has them soon."""
    content = Content()
    image = content.image("hello")
    bundle = Bundle.of(content, {f"registry.example/{'long/' * 40}app:v{number}": image for number in range(20_000)})
    path = crossing.folder / "many"
    bundle.write(path)
    assert len(bundle.seal.statement()) > holdings.MAX_UNVERIFIED
    shown = run("inspect", path)
    assert (shown.exit, "limit.seal" in shown.err) == (3, True)
    assert f"at most {holdings.MAX_UNVERIFIED} bytes (8.0 MiB)" in shown.err
    assert "give --trust DIR" in shown.err
    trust = crossing.folder / "its-trust"
    public = crossing.folder / "its.pub"
    public.write_bytes(signing.EXPORTER.pem)
    run("trust", "init", trust)
    run("trust", "add", trust, "--seal", "default", "--scope", "**", "--key", public)
    told = run("inspect", path, "--trust", trust, "--json")
    assert (told.exit, len(told.json["claims"]["images"])) == (0, 20_000)


def test_inspect_reads_8_mib_exactly(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = crossing.export(crossing.signed_image())
    with opened(bundle) as archive:
        size = archive.envelope.size
    monkeypatch.setattr(holdings, "MAX_UNVERIFIED", size)
    assert run("inspect", bundle).exit == 0
    monkeypatch.setattr(holdings, "MAX_UNVERIFIED", size - 1)
    assert run("inspect", bundle).exit == 3
