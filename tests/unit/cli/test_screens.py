"""What an operator sees of thirty images at 80 columns: one screen, the answer on top of it and at its end."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bundler.cli.render import report_lines
from bundler.cli.rows import above, fitted
from bundler.cli.terminal import Terminal
from bundler.errors import Code
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.stations.report import BundleFacts, ContentReport, ImageReport, Report, SealReport, State, TrustUsed
from bundler.trust.verdict import Check, OtherSigner, Outcome, SignedBy, Verdict
from tests.support.cases import each
from tests.support.signing import EXPORTER, THIRD, Key
from tests.support.station import RELEASE, STRANGER

PLANT, FOURTH = Key.of("p256", 21), Key.of("p256", 22)
PLATFORM = "registry.example/platform"
RULE = f"{PLATFORM}/**"
REFUSED: dict[Code, str] = {
    Code.POLICY_THRESHOLD: "signed by 0, wanted 1 of the rule's 2 signers",
    Code.POLICY_ATTESTATION: "no https://spdx.dev/Document by a signer of the rule",
    Code.POLICY_DENIED: "denied: moved to another house",
}


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def digest(number: int) -> Digest:
    return Digest.of(str(number).encode())


def passing(number: int, *, name: str | None = None, by: Iterable[SignedBy] | None = None, **more: object) -> ImageReport:
    """An image that the release team has signed."""
    signed = [SignedBy("key", RELEASE.fingerprint, "sig", digest(number), name="release team")] if by is None else by
    reference = Reference.parse(name or f"{PLATFORM}/service-{number:02}:1.{number}.0")
    verdict = Verdict(reference, digest(number), RULE, tuple(signed), (), (), frozenset())
    return ImageReport(verdict, "application/vnd.oci.image.index.v1+json", **more)  # type: ignore[arg-type]


def refused(number: int, reason: Code, *others: OtherSigner, also: tuple[Code, ...] = ()) -> ImageReport:
    reference = Reference.parse(f"{PLATFORM}/service-{number:02}:1.{number}.0")
    check = Check("asked", Outcome.FAILED, reason, REFUSED[reason], digest(number), "trust.toml")
    verdict = Verdict(reference, digest(number), RULE, (), (reason, *also), (check, check), frozenset(), others)
    return ImageReport(verdict, "application/vnd.oci.image.index.v1+json")


def other(number: int, who: str | None = STRANGER.fingerprint, *, proved: bool = False, name: str | None = None) -> OtherSigner:
    return OtherSigner("key", who, proved, "bundle", digest(number), name)


def report(*images: ImageReport) -> Report:
    return Report(
        trust=TrustUsed(Path("/etc/oci-bundler/trust"), digest(1)),
        bundle=BundleFacts(digest(2), "platform", 7, None, "2026-11-28T12:00:00Z", None),
        seal=SealReport((EXPORTER.fingerprint,), (), (), ("exporter",)),
        images=images,
        content=ContentReport(185, 1 << 30),
    )


def screen(seen: Report, *, done: str = "may enter", moved: str = "", verbose: int = 0) -> list[str]:
    out = Terminal(json=False, quiet=False, verbose=verbose, color=False)
    return list(report_lines(out, seen, done=done, moved=moved))


def short(number: int) -> str:
    return digest(number).encoded[:12]


CERTIFICATE = OtherSigner("identity", None, proved=False, form="bundle", node=digest(0))
HEAD = [
    f"bundle   {str(digest(2))[:19]}…, stream platform, number 7",
    f"seal     ok, by exporter ({EXPORTER.fingerprint[:19]}…)",
    "content  ok, 185 members, 1.0 GiB, every byte hashed",
    f"trust    {str(digest(1))[:19]}… at /etc/oci-bundler/trust",
    f"signers  release team ({RELEASE.fingerprint[:19]}…)",
]


def test_thirty_images_that_pass_are_one_screen() -> None:
    seen = screen(report(*map(passing, range(30))))
    assert seen == [
        "PASSED: 30 images may enter",
        *HEAD,
        *(f"ok  {f'{PLATFORM}/service-{n:02}:1.{n}.0':43}  {short(n)}  release team" for n in range(30)),
        "PASSED: 30 images may enter",
    ]
    assert len(seen) <= 40
    assert max(map(len, seen)) <= 80


def test_an_import_of_thirty_says_what_is_new_there() -> None:
    states = [State.NEW, State.MOVED, *[State.SAME] * 28]
    images = [
        passing(n, state=state, destination=Reference.parse(f"plant.example/mirror/{PLATFORM}/service-{n:02}:1.{n}.0"))
        for n, state in enumerate(states)
    ]
    seen = screen(report(*images), done="verified and imported", moved="now at")
    assert seen[0] == seen[-1] == "PASSED: 30 images verified and imported: 1 new, 1 moved, 28 there already"
    assert "to       now at plant.example/mirror/registry.example/platform/…" in seen
    assert f"names    …NAME is {PLATFORM}/NAME" in seen
    assert f"ok  new    …service-00:1.0.0   {short(0)}  release team" in seen
    assert f"ok  same   …service-29:1.29.0  {short(29)}  release team" in seen
    assert len(seen) <= 40
    assert max(map(len, seen)) <= 80


def test_one_image_says_in_its_row_what_it_is_there() -> None:
    image = passing(0, state=State.NEW, destination=Reference.parse("plant.example/a:1"))
    seen = screen(report(image), done="verified and imported", moved="now at")
    assert seen[0] == "PASSED: 1 image verified and imported"
    assert seen[-2:] == ["to       now at plant.example/a:1", f"ok  new  {PLATFORM}/service-00:1.0.0  {short(0)}  release team"]


def test_ten_of_thirty_that_are_refused_come_last_by_reason_with_one_next_step_for_each() -> None:
    images = [passing(n) for n in range(20)]
    images += [refused(n, Code.POLICY_THRESHOLD, other(n), also=(Code.KEY_UNKNOWN, Code.SIGNATURE_INVALID)) for n in range(20, 24)]
    images += [refused(24, Code.POLICY_DENIED)]
    images += [refused(n, Code.POLICY_ATTESTATION) for n in range(25, 28)]
    images += [refused(n, Code.POLICY_THRESHOLD, also=(Code.SIGNATURE_MISSING,)) for n in (28, 29)]
    seen = screen(report(images[-1], *images[:-1]))

    def rows(*numbers: int) -> list[str]:
        return [f"refused  {f'{PLATFORM}/service-{n:02}:1.{n}.0':43}  {short(n)}" for n in numbers]

    assert seen == [
        "REFUSED: 10 of 30 images may not enter",
        *HEAD,
        *(f"ok       {f'{PLATFORM}/service-{n:02}:1.{n}.0':43}  {short(n)}  release team"[:80] for n in range(20)),
        "policy.threshold: not enough of the rule's signers have signed",
        *rows(29, 28),
        "  no signature of it was found",
        *rows(20, 21, 22, 23),
        f"  says it is signed by {STRANGER.fingerprint[:19]}…, which the rule does not accept",
        f"  rule {RULE}",
        "  signed by 0, wanted 1 of the rule's 2 signers",
        "  next: have it signed by those whom the rule names, and export it again",
        "policy.denied: the station's rule for this repository denies everything in it",
        *rows(24),
        f"  rule {RULE}: denied: moved to another house",
        "  next: if they are wanted all the same, put signers in the place of `deny`",
        "policy.attestation: an attestation that the rule requires is absent or not by",
        "  its signers",
        *rows(25, 26, 27),
        f"  rule {RULE}",
        "  no https://spdx.dev/Document by a signer of the rule",
        "  next: have a signer of the rule make the attestation, and export it again",
        "REFUSED: 10 of 30 images may not enter",
    ]
    assert max(map(len, seen)) <= 80
    without_reasons = [line for line in seen if not line.startswith(("  ", "policy."))]
    assert len(without_reasons) <= 40


@each(
    ("others", "told"),
    [
        ([other(0)], ["says it is signed by {stranger}, which the rule does not accept"]),
        ([other(0, proved=True)], ["signed by {stranger}, which the rule does not accept"]),
        ([other(0, proved=True, name="plant")], ["signed by plant ({stranger}), which the rule does not accept"]),
        ([other(0, None)], ["signed by a key that the rule does not name, or altered since"]),
        ([other(0), other(1), other(2, None)], ["says it is signed by {stranger}, which the rule does not accept"]),
        (
            [CERTIFICATE],
            ["signed with a certificate that the rule does not accept"],
        ),
        ([], []),
    ],
)
def test_who_has_signed_and_does_not_count_is_said_once_and_no_more_than_is_known(others: list[OtherSigner], told: list[str]) -> None:
    seen = screen(report(refused(0, Code.POLICY_THRESHOLD, *others)))
    after = seen[seen.index("  signed by 0, wanted 1 of the rule's 2 signers") + 1 : -2]
    wide = " ".join(line.strip() for line in after)
    assert wide == " ".join(told).format(stranger=f"{STRANGER.fingerprint[:19]}…")


def test_of_many_who_do_not_count_three_are_said() -> None:
    many = [other(n, who.fingerprint) for n, who in enumerate((STRANGER, PLANT, THIRD, FOURTH))]
    seen = screen(report(refused(0, Code.POLICY_THRESHOLD, *many)))
    assert sum("says it is signed by" in line for line in seen) == 3
    assert "  and so by 1 more, whom -v shows" in seen
    assert sum("says it is signed by" in line for line in screen(report(refused(0, Code.POLICY_THRESHOLD, *many)), verbose=1)) == 7


def test_what_else_is_wrong_is_said_by_its_code() -> None:
    seen = screen(report(refused(0, Code.POLICY_THRESHOLD, also=(Code.SIGNATURE_INVALID, Code.EXPIRY_EXPIRED))))
    assert "  also: signature.invalid, expiry.expired" in seen


def test_one_image_that_passes_has_its_answer_once() -> None:
    assert screen(report(passing(0))).count("PASSED: 1 image may enter") == 1
    assert screen(report(passing(0), passing(1))).count("PASSED: 2 images may enter") == 2
    assert screen(report(refused(0, Code.POLICY_DENIED))).count("REFUSED: 1 of 1 image may not enter") == 2


def test_a_remark_about_several_images_is_said_once() -> None:
    alike = [passing(n, remarks=("the registry has no referrers API",)) for n in range(3)]
    some = [passing(n, remarks=("moved from old.example",)) for n in (3, 4)]
    lines = screen(report(*alike, *some, passing(5, remarks=("one of its own",))))
    assert [line for line in lines if line.startswith("note: ")] == [
        "note: the registry has no referrers API (3 images)",
        "note: moved from old.example (2 images)",
        f"note: {PLATFORM}/service-05:1.5.0: one of its own",
    ]
    assert "note: the registry has no referrers API (all 3 images)" in screen(report(*alike))
    assert "note: the registry has no referrers API" in screen(report(alike[0]))


def test_a_name_that_does_not_fit_loses_what_all_have_before_its_middle() -> None:
    names = [f"registry.internal.example/company/division/platform/team/service-{n}:1.0.0" for n in (1, 2)]
    seen = screen(report(*(passing(n, name=name) for n, name in enumerate(names))))
    assert "names    …NAME is registry.internal.example/company/division/platform/team/NAME" in seen
    assert f"ok  …service-1:1.0.0  {short(0)}  release team" in seen
    alone = screen(report(passing(0, name=names[0])))
    assert max(map(len, alone)) <= 80
    [row] = [line for line in alone if line.startswith("ok  ")]
    assert row.startswith("ok  registry.in")
    assert f"/team/service-1:1.0.0  {short(0)}  release team" in row
    assert f"         {names[0]}" in screen(report(passing(0, name=names[0])), verbose=1)


def test_a_digest_in_a_name_is_short_and_whole_with_v() -> None:
    name = f"registry.example/app@{digest(0)}"
    seen = screen(report(passing(0, name=name)))
    assert f"ok  registry.example/app@{str(digest(0))[:19]}…  {short(0)}  release team" in seen
    assert f"         {name}" in screen(report(passing(0, name=name)), verbose=1)


def test_a_wide_screen_shortens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"registry.internal.example/{'long/' * 16}app:1"
    monkeypatch.setenv("COLUMNS", "160")
    assert f"ok  {name}  {short(0)}  release team" in screen(report(passing(0, name=name)))
    for nonsense in ("0", "-3", "wide", "٣", "9" * 5000):
        monkeypatch.setenv("COLUMNS", nonsense)
        assert max(map(len, screen(report(passing(0, name=name))))) <= 80


def test_signers_without_names_are_told_by_what_they_are() -> None:
    who = "https://github.com/example/app/.github/workflows/release.yaml@refs/heads/main (issuer https://token.example)"
    by = [SignedBy("identity", who, "bundle", digest(0)), SignedBy("key", RELEASE.fingerprint, "sig", digest(0))]
    seen = screen(report(passing(0, by=by)))
    assert max(map(len, seen)) <= 80
    [legend] = [line for line in seen if line.startswith("signers")]
    assert legend.startswith("signers  https://github.com/")
    assert f"         signed by identity {who} (bundle; 1 manifest)" in screen(report(passing(0, by=by)), verbose=1)


def test_what_nobody_may_obey_is_escaped_in_rows_and_reasons() -> None:
    by = [SignedBy("identity", "evil\x1b[2J", "bundle", digest(0))]
    seen = "\n".join(screen(report(passing(0, by=by), refused(1, Code.POLICY_THRESHOLD, other(1, "a\x1b[31mb")))))
    assert "\x1b" not in seen


def test_images_that_each_somebody_else_has_signed_are_not_compared_with_one_another() -> None:
    """Foreign names of signers choose how many different reasons there are to show."""

    def steps(count: int) -> int:
        taken = 0

        def step(frame: FrameType, *_: object) -> Callable[..., Any] | None:
            nonlocal taken
            if frame.f_code.co_filename != report_lines.__code__.co_filename:
                return None
            taken += 1
            return step

        images = [refused(n, Code.POLICY_THRESHOLD, other(n, f"https://signer.example/{n:03}")) for n in range(count)]
        before = sys.gettrace()
        sys.settrace(step)
        try:
            assert len(screen(report(*images))) > 2 * count
        finally:
            sys.settrace(before)
        return taken

    assert steps(160) < 2.5 * steps(80)


@each("unseen", ["\u3164", "\ufe0f", "\U000e0101", "\u2800", "\u034f", "\uffa0", "\u200b", "\u202e"])
def test_what_nobody_sees_makes_no_name_look_like_another(unseen: str) -> None:
    by = [SignedBy("key", RELEASE.fingerprint, "sig", digest(0), name=f"release{unseen}")]
    seen = "\n".join(screen(report(passing(0, by=by))))
    assert unseen not in seen
    assert f"release{unseen.encode('unicode_escape').decode()} (sha256:" in seen


def test_a_command_to_copy_is_not_broken() -> None:
    verdict = Verdict(Reference.parse("a.test/b:1"), digest(0), None, (), (Code.POLICY_NO_MATCH,), (), frozenset())
    seen = screen(report(ImageReport(verdict, "application/json")))
    assert any("`oci-bundler trust add DIR --image SCOPE --key FILE`" in line for line in seen)
    assert not any(line.startswith("  rule") for line in seen)


@pytest.mark.parametrize(("text", "room", "shown"), [("abc", 3, "abc"), ("abcdefghij", 7, "ab…ghij"), ("abcdefghij", 10, "abcdefghij")])
def test_what_does_not_fit_keeps_more_of_its_end(text: str, room: int, shown: str) -> None:
    assert fitted(text, room) == shown
    assert len(shown) <= room


def test_what_names_begin_with_ends_at_a_slash() -> None:
    assert above(["a/b/c:1", "a/b/cd:1"]) == "a/b/"
    assert above(["a/b/c:1", "a/bc/c:1"]) == "a/"
    assert above(["a:1", "b:1"]) == above([]) == ""
