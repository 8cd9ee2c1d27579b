"""Verdicts in words: the answer first and last, between them a row an image, those that are refused at the end with what to do next."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from bundler.bundle.seal import time
from bundler.cli.called import called, short
from bundler.cli.rows import INDENT, Rows, above, legend, signers, wrapped
from bundler.cli.terminal import Terminal, counted, escaped, sized
from bundler.errors import Code
from bundler.stations.report import BundleFacts, ContentReport, ImageReport, Report, SealReport, State, StationReport
from bundler.trust.kinds import kind_named
from bundler.trust.verdict import Check, OtherSigner, Outcome, Verdict

NEXT: dict[Code, str] = {
    Code.POLICY_NO_MATCH: "if these images are wanted, add a rule: `oci-bundler trust add DIR --image SCOPE --key FILE`",
    Code.POLICY_DENIED: "if they are wanted all the same, put signers in the place of `deny`",
    Code.POLICY_THRESHOLD: "have it signed by those whom the rule names, and export it again",
    Code.POLICY_ATTESTATION: "have a signer of the rule make the attestation, and export it again",
    Code.POLICY_NAME: 'sign it under the name that it is carried by, or drop `name = "signed"` from the rule',
    Code.SEAL_SIGNATURE: "if this exporter is to be trusted, compare its key by another way, then "
    "`oci-bundler trust add DIR --seal STREAM --scope PATTERN --key FILE`",
    Code.SEAL_STREAM: "add the stream for this key with `oci-bundler trust add DIR --seal STREAM`, "
    "or ask the exporter for the stream that it may seal",
    Code.SEAL_SCOPE: "widen the stream's scopes in trust.toml, or ask the exporter for a bundle without these images",
    Code.SEAL_STATION: "bring it to the station that it is meant for, or name this one's folder with --station",
    Code.STREAM_ROLLBACK: "take the newest bundle of the stream; whether this was good once, `oci-bundler verify FILE --at sealed` says",
    Code.STREAM_EQUIVOCATION: "keep both bundles, import no more of them, and ask the exporter who else has its key",
    Code.STREAM_GAP: "import the bundle that it follows first, or ask the exporter for it",
    Code.TRUST_SERIAL: "bring this station's trust up to date first",
    Code.TIME_EXPIRED: "ask the exporter for a new bundle, unless this station's clock is wrong",
    Code.TIME_FUTURE: "set this station's clock, or ask how the exporter's is set",
}


SEAL: dict[Code, str] = {
    Code.SEAL_SIGNATURE: "the bundle's seal is not trusted here",
    Code.SEAL_STREAM: "who sealed the bundle may not seal its stream",
    Code.SEAL_SCOPE: "who sealed the bundle may not carry these images",
    Code.SEAL_STATION: "the bundle is for another station",
    Code.STREAM_ROLLBACK: "the bundle is older than one that was accepted",
    Code.STREAM_EQUIVOCATION: "another bundle with the same number was accepted",
    Code.STREAM_GAP: "the bundle does not follow the one that was accepted last",
    Code.TRUST_SERIAL: "the bundle asks for newer trust than this station has",
    Code.TIME_EXPIRED: "the bundle has expired",
    Code.TIME_FUTURE: "the bundle was made after the time that it is judged at",
}
"""The answer, by the first reason why a seal does not let a bundle in."""

_STATES = {State.NEW: "new", State.MOVED: "moved", State.SAME: "there already"}
_UNDER = 2  # columns before what belongs to the rows above it
_TOLD = 3  # of those who signed and do not count; an image may have a thousand
_BASES = 8  # of the bundles that a delta leans on, which may be as many as its seal has room for
_SAID = {Code.SIGNATURE_MISSING, Code.KEY_UNKNOWN}
"""What is said in words of its own where an image is refused."""


def report_lines(out: Terminal, report: Report, *, done: str, moved: str = "") -> Iterator[str]:
    """The whole answer of ``verify``, ``import`` or ``extract``; ``done`` says what passed means there, ``moved`` where it is now."""
    answer = _answer(out, report, done)
    yield answer
    if report.bundle:
        yield from _bundle(out, report.bundle)
    if report.station:
        yield from _station(out, report.station)
    if report.receipt:
        digest = str(report.receipt.digest)
        yield from wrapped(out, "receipt", f"{report.receipt.file}, {digest if out.verbose else short(digest)}")
    if report.seal:
        yield from _seal(out, report.seal)
    if report.content:
        yield from _content(out, report.content)
    trust = str(report.trust.digest)
    yield from wrapped(out, "trust", f"{trust if out.verbose else short(trust)} at {report.trust.path}")
    yield from legend(out, report.images)
    yield from _destination(out, report.images, moved)
    yield from _table(out, report.images, moved)
    yield from _notes(out, report.images)
    if not report.passed or len(report.images) > 1 or out.verbose:
        yield answer


def _answer(out: Terminal, report: Report, done: str) -> str:
    passing = [image for image in report.images if image.verdict.passed]
    refused = len(report.images) - len(passing)
    if report.passed:
        return f"{out.good('PASSED')}: {counted(len(passing), 'image')} {done}{_changes(passing)}"
    if report.seal and not report.seal.passed:
        return f"{out.bad('REFUSED')}: {SEAL[report.seal.reasons[0]]} ({', '.join(report.seal.reasons)})"
    if report.content and not report.content.passed:
        return f"{out.bad('REFUSED')}: the bundle is damaged ({report.content.faults[0].code})"
    if any(image.destination for image in passing):
        return f"{out.bad('PARTLY')}: {counted(len(passing), 'image')} {done}{_changes(passing)}; {refused} refused"
    return f"{out.bad('REFUSED')}: {refused} of {counted(len(report.images), 'image')} may not enter"


def _changes(images: Sequence[ImageReport]) -> str:
    """How many are new at the destination, and how many are not; of one its row says so."""
    counts = Counter(image.state for image in images)
    told = [f"{counts[state]} {words}" for state, words in _STATES.items() if counts[state]]
    return f": {', '.join(told)}" if told and len(images) > 1 else ""


def _bundle(out: Terminal, facts: BundleFacts) -> Iterator[str]:
    identity = str(facts.identity)
    made = f", made {facts.created}" if out.verbose else ""
    until = f", until {facts.expires}" if facts.expires else ""
    told = f"{identity if out.verbose else short(identity)}, stream {facts.stream}, number {facts.sequence}{made}{until}"
    yield from wrapped(out, "bundle", told)
    if facts.elsewhere:
        what = f"{counted(facts.elsewhere, 'layer')}, {sized(facts.size_elsewhere)}"
        named = map(str, facts.base) if out.verbose else [short(str(identity)) for identity in facts.base[:_BASES]]
        more = "" if out.verbose or len(facts.base) <= _BASES else f" and {len(facts.base) - _BASES} more"
        base = ", ".join(named) + more
        yield from wrapped(out, "", f"it leaves out {what}, which import looks for at the destination: brought by {base}")


def _station(out: Terminal, station: StationReport) -> Iterator[str]:
    """Which station it is, and what it says of the bundle's place; of one that it refuses, the seal's reasons say that."""
    standing = station.standing
    told = f": {standing.detail}" if standing is not None and standing.code is None else ""
    gap = " (stream.gap)" if told and standing is not None and standing.gap else ""
    yield from wrapped(out, "station", f"{station.name}{told}{gap}")
    if station.floor is not None:
        at = time(station.floor)
        yield from wrapped(out, "", f"judged as of {at}, a time that has been: this station's clock is behind it")


def _seal(out: Terminal, seal: SealReport) -> Iterator[str]:
    if seal.passed:
        by = ", ".join(called(name, who, whole=out.verbose > 0) for name, who in zip(seal.names, seal.signers, strict=True))
        yield from wrapped(out, "seal", f", by {by}", mark="ok", style=out.good)
    for reason in seal.reasons:
        yield from wrapped(out, "seal", f": {reason.meaning}", mark=str(reason), style=out.bad)
    for detail in seal.details:
        yield from wrapped(out, "", detail)
    for reason in seal.reasons[:1]:
        yield from wrapped(out, "", f"next: {NEXT[reason]}")


def _content(out: Terminal, content: ContentReport) -> Iterator[str]:
    if content.passed:
        read = f"{counted(content.members, 'member')}, {sized(content.size)}"
        yield from wrapped(out, "content", f", {read}, every byte hashed", mark="ok", style=out.good)
    for fault in content.faults:
        yield from wrapped(out, "content", f": {fault}", mark=str(fault.code), style=out.bad)
    if not content.passed:
        yield from wrapped(out, "", "next: copy the bundle again from where it came, and compare it with its .sha256 file")


def _destination(out: Terminal, images: Sequence[ImageReport], moved: str) -> Iterator[str]:
    """Where the images are, of several what all these places begin with."""
    places = [str(image.destination) for image in images if image.destination]
    if len(places) == 1:
        yield from wrapped(out, "to", f"{moved} {places[0]}")
    elif places:
        yield from wrapped(out, "to", f"{moved} {above(places)}…")


def _table(out: Terminal, images: Sequence[ImageReport], moved: str) -> Iterator[str]:
    rows = Rows(out, images)
    yield from rows.names.told(out)
    for image in images:
        if image.verdict.passed:
            yield rows.row(image)
            yield from _details(out, image, moved)
    refused = [image for image in images if not image.verdict.passed]
    for reason in dict.fromkeys(image.verdict.reasons[0] for image in refused):
        yield from _group(out, rows, reason, [image for image in refused if image.verdict.reasons[0] is reason])


def _group(out: Terminal, rows: Rows, reason: Code, images: Sequence[ImageReport]) -> Iterator[str]:
    """The images that are refused for one reason: below those that share them the rule and who has signed, and what to do once."""
    yield from wrapped(out, None, f": {reason.meaning}", mark=str(reason), style=out.bad, indent=_UNDER)
    why = {image.verdict.reference: tuple(_why(image.verdict, reason, room=out.width - _UNDER)) for image in images}
    all_of_them = [line for line in why[images[0].verdict.reference] if all(line in other for other in why.values())]
    alike: dict[tuple[str, ...], list[ImageReport]] = {}
    for image in images:
        alike.setdefault(why[image.verdict.reference], []).append(image)
    for some, those in alike.items():
        for image in those:
            yield rows.row(image)
            yield from _details(out, image, "")
        for line in some:
            if line not in all_of_them:
                yield from wrapped(out, "", line, indent=_UNDER)
    for line in (*all_of_them, f"next: {NEXT[reason]}"):
        yield from wrapped(out, "", line, indent=_UNDER)


def _why(verdict: Verdict, reason: Code, *, room: int) -> Iterator[str]:
    """By which rule it is refused, what that has found, who has signed and does not count, and what else is wrong."""
    if verdict.rule is None:
        return
    found = "; ".join(list(dict.fromkeys(check.detail for check in verdict.checks if check.code is reason))[:_TOLD])
    together = f"rule {verdict.rule}: {found}"
    yield from [together] if len(together) <= room else [f"rule {verdict.rule}", found]
    told = list(dict.fromkeys(map(_by, verdict.others)))
    named = [by for other, by in zip(verdict.others, map(_by, verdict.others), strict=True) if other.id is not None]
    told = list(dict.fromkeys(named)) or told
    yield from told[:_TOLD]
    if len(told) > _TOLD:
        yield f"and so by {len(told) - _TOLD} more, whom -v shows"
    if Code.SIGNATURE_MISSING in verdict.reasons:
        yield "no signature of it was found"
    also = [code for code in verdict.reasons if code is not reason and code not in _SAID]
    also = [code for code in also if code is not Code.SIGNATURE_INVALID or not told]
    if also:
        yield f"also: {', '.join(also)}"


def _by(other: OtherSigner, *, whole: bool = False) -> str:
    """Who has signed and does not count, as far as that is known; the ``whole`` of what it is known by where that is asked for."""
    if other.id is None:
        return kind_named(other.kind).unnamed
    who = called(other.name, other.id, whole=whole)
    return f"{'' if other.proved else 'says it is '}signed by {who}, which the rule does not accept"


def _notes(out: Terminal, images: Sequence[ImageReport]) -> Iterator[str]:
    """What is to be said about images that does not refuse them, once for all that it is true of."""
    about: dict[str, list[ImageReport]] = {}
    for image in images:
        for text in _remarks(image):
            about.setdefault(text, []).append(image)
    for text, those in about.items():
        if len(images) == 1:
            which = text
        elif len(those) == 1:
            which = f"{those[0].verdict.reference}: {text}"
        else:
            which = f"{text} ({'all ' if len(those) == len(images) else ''}{len(those)} images)"
        yield from wrapped(out, None, f"note: {which}", indent=_UNDER)


def _remarks(image: ImageReport) -> Iterator[str]:
    yield from image.remarks
    if image.left_out:
        yield f"left out: {', '.join(dict.fromkeys(each.platform or str(each.digest) for each in image.left_out))}"
    if image.destination and not image.destination.tag:
        yield "it has no tag there: it is reached by its digest alone"
    if image.verdict.passed:
        codes = sorted({check.code for check in image.verdict.checks if check.outcome is Outcome.FAILED and check.code})
        if codes:
            yield f"not everything found about it counts ({', '.join(codes)}); -v shows it"


def _details(out: Terminal, image: ImageReport, moved: str) -> Iterator[str]:
    """With ``-v``: its names in full, its signers, what was looked at, and what of it did not pass; with ``-vv`` all of it."""
    if not out.verbose:
        return
    verdict = image.verdict
    yield _line(f"{verdict.reference}")
    yield _line(f"{verdict.digest}")
    if image.platforms or image.left_out:
        left = f"; left out: {', '.join(d.platform or str(d.digest) for d in image.left_out)}" if image.left_out else ""
        yield _line(f"for {', '.join(image.platforms) or 'no platform'}{left}")
    for signer in signers(image):
        by = [each for each in verdict.signers if (each.kind, each.id) == (signer.kind, signer.id)]
        forms, nodes = ", ".join(sorted({each.form for each in by})), len({each.node for each in by})
        name = f"{signer.name}, " if signer.name else ""
        yield _line(f"signed by {name}{signer.kind} {signer.id} ({forms}; {counted(nodes, 'manifest')})")
        yield from (_line(f"  {how}") for how in _proofs(verdict.checks, signer.id))
    for other in verdict.others:
        yield _line(f"{_by(other, whole=True)} ({other.form})")
    for attested in dict.fromkeys(check.detail for check in verdict.checks if _is_met(check)):
        yield _line(f"required and there: {attested}")
    counts = {outcome: sum(check.outcome is outcome for check in verdict.checks) for outcome in Outcome}
    yield _line(f"{counted(len(verdict.checks), 'check')}: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n))
    if image.destination:
        yield _line(f"{moved} {image.destination}")
    for check in verdict.checks:
        if check.outcome is not Outcome.PASSED or out.verbose > 1:
            yield _check(out, check)
    for remark in image.remarks:
        yield _line(f"note: {remark}")


def _proofs(checks: Iterable[Check], who: str) -> list[str]:
    """When and under which root or store the signatures of ``who`` are proved, where they are by more than a key."""
    return list(dict.fromkeys(check.under for check in checks if check.signer == who and check.under is not None))


def _is_met(check: Check) -> bool:
    """Whether it is about an attestation that the rule asks for, and that is there."""
    return check.required and check.name == "attestation"


def _check(out: Terminal, check: Check) -> str:
    code = f" {check.code}" if check.code else ""
    return _line(f"{check.name}: {check.outcome}{code}: {check.detail} [{str(check.subject)[:19]}]", style=out.dim)


def _line(text: str, *, style: Callable[[str], str] = str) -> str:
    """Below a row and never wrapped, so that it can be searched and copied. ``text`` may be foreign and is escaped."""
    return f"{'':{INDENT}}{style(escaped(text))}"
