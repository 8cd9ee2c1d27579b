"""``status``: what a station accepted, and what must come next."""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.called import short
from bundler.cli.clock import now
from bundler.cli.commands import Command
from bundler.cli.terminal import Terminal, counted, escaped, sized
from bundler.errors import Code, UsageError
from bundler.oci.descriptor import MAX_SIZE
from bundler.stations.status import Status, StreamStatus
from bundler.trust.policy import Order

_DAY, _HOUR = 86400, 3600


@click.command("status", cls=Command)
@click.option(
    "--export",
    "back",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what was accepted, refused and is held to FILE, signed, for `export --base` at the exporter.",
)
@click.option("--replace", is_flag=True, help="With --export: replace FILE if it exists.")
@options.trust
@options.station
@options.passphrase
@options.terminal
def command(
    *, out: Terminal, password: options.Password, back: Path | None, replace: bool, trust_folder: Path | None, station_folder: Path | None
) -> int:
    """Show what this station accepted of each stream, how old that is, what is missing, and what the next bundle must be.

    \b
    Examples:
      oci-bundler status
      oci-bundler status --export return.json
      oci-bundler status --station /var/lib/oci-bundler/station --json
    """
    from bundler.ledger import folder
    from bundler.stations import returning, status, truststore

    found = folder.find(station_folder, os.environ)
    if found is None:
        raise UsageError(
            "there is no station here",
            code=Code.STATION_MISSING,
            wanted="--station DIR, $OCI_BUNDLER_STATION, $XDG_STATE_HOME/oci-bundler/station or /var/lib/oci-bundler/station",
            next="make one with `oci-bundler station init DIR --name NAME`",
        )
    if back is not None:
        trust = truststore.load(trust_folder, os.environ)
        told_back = returning.write(back, found, trust, clock=now(), password=password, replace=replace, say=out.say)
        held = {blob.digest: blob.size for blobs in told_back.held.values() for blob in blobs}
        out.say(f"{back} tells of {counted(len(held), 'blob')}, {sized(sum(held.values()))}: take it to the exporter")
    elif replace:
        raise UsageError("--replace is about a file that is written", wanted="--export FILE beside it")
    trusts = truststore.find(trust_folder, os.environ)
    told = status.status(found, None if trusts is None else truststore.read(trusts), clock=now())
    return out.answer(told.to_json(), (escaped(line) for line in _lines(out, told)))


def _lines(out: Terminal, told: Status) -> Iterator[str]:
    gaps = sum(len(stream.gaps) for stream in told.streams)
    missing = f", {counted(gaps, 'gap')}" if gaps else ""
    yield f"station {told.name} at {told.path}: {counted(len(told.streams), 'stream')}{missing}"
    for stream in told.streams:
        yield from _stream(out, stream)
    yield f"journal  size {told.journal.size}, {counted(told.receipts, 'receipt')}"
    if told.floor is not None:
        yield f"time     not before {told.to_json()['time_floor']}"
    if told.trust is not None:
        policy = told.trust.policy
        yield f"trust    serial {policy.serial}, {_digest(out, str(policy.digest))} at {told.trust.path}"


def _stream(out: Terminal, told: StreamStatus) -> Iterator[str]:
    value, last = told.to_json(), told.stream.last
    used_up = last.sequence == MAX_SIZE and told.order is not Order.ANY
    yield f"stream   {told.stream.name}: number {last.sequence}, {_digest(out, str(last.identity))}"
    yield f"         made {value['created']}, {_age(told.age)} ago; accepted {value['accepted']}"
    yield from (f"         gap: number {link.sequence} follows {_digest(out, str(link.previous))}, which never came" for link in told.gaps)
    match told.order:
        case _ if used_up:
            yield "         next: none, for this is the highest number that there is; seal a stream of another name"
        case Order.ANY:
            yield f"         next: any number but those accepted; a newer one is above {last.sequence}"
        case Order.CHAIN:
            yield f"         next: a number above {last.sequence} with --previous {last.identity}"
        case Order.NEWER:
            yield f"         next: a number above {last.sequence}, best with --previous {last.identity}"


def _digest(out: Terminal, digest: str) -> str:
    return digest if out.verbose else short(digest)


def _age(seconds: int) -> str:
    if seconds >= _DAY:
        return counted(seconds // _DAY, "day")
    return counted(seconds // _HOUR, "hour")
