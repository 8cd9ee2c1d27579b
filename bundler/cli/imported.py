"""What ``import`` answers."""

from bundler.cli.render import report_lines
from bundler.cli.terminal import Terminal, counted, sized
from bundler.stations.arrival import Outcome


def answer(out: Terminal, outcome: Outcome, *, dry_run: bool, remembers: bool) -> int:
    """Tell what became of the bundle, where a station ``remembers`` it or not. Gives the exit code."""
    report, done = outcome.report, outcome.done
    if done is None:
        if outcome.held_back:
            out.say(f"note: nothing was imported; --admit-passing imports the {counted(outcome.held_back, 'image')} that may enter")
        return out.answer(report.to_json(), report_lines(out, report, done=""), exit=report.exit)
    damaged = report.content is not None and not report.content.passed
    if dry_run and not damaged:
        out.say(f"would send {counted(done.blobs, 'blob')}, {sized(done.sent)}; {done.there} are there already")
    elif not dry_run and damaged:
        out.say("note: no manifest and no tag was put; blobs that were sent before the damage was met are there without a name")
    elif not dry_run:
        out.detail(f"sent {counted(done.blobs, 'blob')}, {sized(done.sent)}; {done.there} were there already")
        if not remembers:
            out.say("note: without `station init` old bundles go unnoticed, and no receipt is kept")
    words = ("verified, and would be imported", "would go to") if dry_run else ("verified and imported", "now at")
    return out.answer(report.to_json(), report_lines(out, report, done=words[0], moved=words[1]), exit=done.exit)
