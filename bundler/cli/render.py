"""Verdicts in words: the answer first, then a row an image, who signed it, and for each refusal what to do next."""

from collections.abc import Callable, Iterable, Iterator

from bundler.cli.terminal import Terminal, counted, escaped, sized
from bundler.errors import Code
from bundler.stations.report import ContentReport, ImageReport, Report, SealReport
from bundler.trust.verdict import Check, Outcome

_WIDTH = 12  # of the column that says what a line is about

NEXT: dict[Code, str] = {
    Code.POLICY_NO_MATCH: "if these images are wanted, add a rule: `oci-bundler trust add DIR --image SCOPE --key FILE`",
    Code.POLICY_DENIED: "if these images are wanted all the same, put signers in the place of `deny` in this rule",
    Code.POLICY_THRESHOLD: "have the image signed by the keys that the rule names, and export it again; -v shows who else did sign it",
    Code.POLICY_ATTESTATION: "have the attestation made and signed by a signer of the rule, and export again",
    Code.POLICY_NAME: 'sign it under the name that it is carried by, or drop `name = "signed"` from the rule',
    Code.SEAL_SIGNATURE: "if this exporter is to be trusted, compare its key by another way, then "
    "`oci-bundler trust add DIR --seal STREAM --scope PATTERN --key FILE`",
    Code.SEAL_STREAM: "add the stream for this key with `oci-bundler trust add DIR --seal STREAM`, "
    "or ask the exporter for the stream that it may seal",
    Code.SEAL_SCOPE: "widen the stream's scopes in trust.toml, or ask the exporter for a bundle without these images",
    Code.SEAL_STATION: "it is meant for another station, or for a newer oci-bundler",
    Code.BASE_MISSING: "ask the exporter for a bundle without a base",
    Code.TRUST_SERIAL: "bring this station's trust up to date first",
    Code.TIME_EXPIRED: "ask the exporter for a new bundle",
    Code.TIME_FUTURE: "set this station's clock, or ask how the exporter's is set",
}


SEAL: dict[Code, str] = {
    Code.SEAL_SIGNATURE: "the bundle's seal is not trusted here",
    Code.SEAL_STREAM: "who sealed the bundle may not seal its stream",
    Code.SEAL_SCOPE: "who sealed the bundle may not carry these images",
    Code.SEAL_STATION: "the bundle is for another station",
    Code.BASE_MISSING: "the bundle builds on another one",
    Code.TRUST_SERIAL: "the bundle asks for newer trust than this station has",
    Code.TIME_EXPIRED: "the bundle has expired",
    Code.TIME_FUTURE: "the bundle was made after the time that it is judged at",
}
"""The answer, by the first reason why a seal does not let a bundle in."""


def report_lines(out: Terminal, report: Report, *, done: str, moved: str = "") -> Iterator[str]:
    """The whole answer of ``verify``, ``import`` or ``extract``; ``done`` says what passed means there, ``moved`` where it is now."""
    yield _answer(out, report, done)
    if report.bundle:
        facts = report.bundle
        until = f", until {facts.expires}" if facts.expires else ""
        yield _line("bundle", f"{facts.identity}")
        yield _line("", f"stream {facts.stream}, number {facts.sequence}, made {facts.created}{until}")
    yield _line("trust", f"{report.trust.digest} at {report.trust.path}")
    if report.seal:
        yield from _seal(out, report.seal)
    if report.content:
        yield from _content(out, report.content)
    for image in report.images:
        yield from _image(out, image, moved)


def _answer(out: Terminal, report: Report, done: str) -> str:
    passing = [image for image in report.images if image.verdict.passed]
    refused = len(report.images) - len(passing)
    if report.passed:
        return f"{out.good('PASSED')}: {counted(len(passing), 'image')} {done}"
    if report.seal and not report.seal.passed:
        return f"{out.bad('REFUSED')}: {SEAL[report.seal.reasons[0]]} ({', '.join(report.seal.reasons)})"
    if report.content and not report.content.passed:
        return f"{out.bad('REFUSED')}: the bundle is damaged ({report.content.faults[0].code})"
    if any(image.destination for image in passing):
        return f"{out.bad('PARTLY')}: {counted(len(passing), 'image')} {done}; {refused} refused"
    return f"{out.bad('REFUSED')}: {refused} of {counted(len(report.images), 'image')} may not enter"


def _seal(out: Terminal, seal: SealReport) -> Iterator[str]:
    if seal.passed:
        yield _line("seal", f", by {', '.join(seal.signers)}", mark=out.good("ok"))
    for reason in seal.reasons:
        yield _line("seal", f": {reason.meaning}", mark=out.bad(str(reason)))
    for detail in seal.details:
        yield _line("", detail)
    for reason in seal.reasons[:1]:
        yield _line("", f"next: {NEXT[reason]}")


def _content(out: Terminal, content: ContentReport) -> Iterator[str]:
    if content.passed:
        read = f"{counted(content.members, 'member')}, {sized(content.size)}"
        yield _line("content", f", {read}, every byte hashed", mark=out.good("ok"))
    for fault in content.faults:
        yield _line("content", f": {fault}", mark=out.bad(str(fault.code)))
    if not content.passed:
        yield _line("", "next: copy the bundle again from where it came, and compare it with its .sha256 file")


def _image(out: Terminal, image: ImageReport, moved: str) -> Iterator[str]:
    """One image: its row, its signers, what was looked at, and why it is refused."""
    verdict = image.verdict
    yield _row(out, image)
    if image.platforms or image.left_out:
        left = f"; left out: {', '.join(d.platform or str(d.digest) for d in image.left_out)}" if image.left_out else ""
        yield _line("", f"for {', '.join(image.platforms) or 'no platform'}{left}")
    for kind, who in sorted({(signer.kind, signer.id) for signer in verdict.signers}):
        by = [signer for signer in verdict.signers if (signer.kind, signer.id) == (kind, who)]
        forms, nodes = ", ".join(sorted({signer.form for signer in by})), len({signer.node for signer in by})
        yield _line("", f"signed by {kind} {who} ({forms}; {counted(nodes, 'manifest')})")
        yield from (_line("", f"  {how}") for how in _proofs(verdict.checks, who))
    for attested in dict.fromkeys(check.detail for check in verdict.checks if _is_met(check)):
        yield _line("", f"required and there: {attested}")
    counts = {outcome: sum(check.outcome is outcome for check in verdict.checks) for outcome in Outcome}
    yield _line("", f"{counted(len(verdict.checks), 'check')}: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n))
    if image.destination:
        untagged = "" if image.destination.tag else ", without a tag: it is reached by its digest alone"
        yield _line("", f"{moved} {image.destination}{untagged}")
    for reason in verdict.reasons[:1]:
        yield _line("", f": {reason.meaning}", mark=out.bad(str(reason)))
        if verdict.rule:
            yield _line("", f"rule: {verdict.rule}")
        yield _line("", f"next: {NEXT[reason]}")
    for check in verdict.checks:
        if check.outcome is Outcome.FAILED or (out.verbose and check.outcome is not Outcome.PASSED) or out.verbose > 1:
            yield _check(out, check)
    for remark in image.remarks:
        yield _line("", f"note: {remark}")


def _proofs(checks: Iterable[Check], who: str) -> list[str]:
    """When and under which root or store the signatures of ``who`` are proved, where they are by more than a key."""
    said = (check.detail for check in checks if check.outcome is Outcome.PASSED and ", under the " in check.detail)
    return list(dict.fromkeys(detail.rpartition(f"{who}, ")[2] for detail in said if f"{who}, " in detail))


def _is_met(check: Check) -> bool:
    """Whether it is about an attestation that the rule asks for, and that is there."""
    return check.name == "attestation" and check.outcome is Outcome.PASSED and check.spec == "trust.toml"


def _row(out: Terminal, image: ImageReport) -> str:
    word, mark = ("ok", out.good) if image.verdict.passed else ("refused", out.bad)
    return f"{mark(word)}{'':{_WIDTH - len(word)}}{escaped(str(image.verdict.reference))}  {image.verdict.digest}"


def _check(out: Terminal, check: Check) -> str:
    code = f" {check.code}" if check.code else ""
    return _line("", f"{check.name}: {check.outcome}{code}: {check.detail} [{str(check.subject)[:19]}]", dim=out.dim)


def _line(about: str, text: str, *, mark: str = "", dim: Callable[[str], str] = str) -> str:
    """``text`` may be foreign and is escaped; ``mark`` is ours, and may be in colour."""
    return f"{about:{_WIDTH}}{mark}{dim(escaped(text))}"
