"""What an export carries, in words."""

from collections.abc import Collection, Iterator, Sequence

from bundler.cli.terminal import counted, escaped, sized
from bundler.oci.digest import Digest
from bundler.stations.exporter import Exported, Plan


def swept(sizes: Sequence[int]) -> str:
    """What was removed of killed runs, by the bytes of each file."""
    return f"removed what a killed run had left: {counted(len(sizes), 'hidden file')}, {sized(sum(sizes))}"


def notes(made: Plan, *, leave: Collection[Digest] = ()) -> Iterator[str]:
    """What whoever exports should know before it is written."""
    for survey in made.surveys:
        yield from (f"note: {remark}" for remark in survey.remarks)
        found = {found.digest for lookup in survey.carried.lookups for found in lookup.found}
        if any(child.digest not in found for child in survey.carried.left_out):
            yield (
                f"note: of {survey.carried.reference} not all platforms are carried. Its index stays as it is, so that its signatures "
                "hold; many registries refuse such an index (distribution 2.8, 3 by default, olareg)"
            )
        for digest in sorted(survey.carried.absent - {child.digest for child in survey.carried.left_out}):
            yield f"note: the foreign layer {digest} is not at the source, and not carried"
    left = {child.digest for survey in made.surveys for child in survey.carried.left_out}
    for digest in sorted(set(leave) - left):
        yield f"note: nothing of the digest {digest} was left out: --leave is for what cannot be read"


def lines(done: Exported) -> Iterator[str]:
    """The whole answer: first the file, then a row an image."""
    images = done.plan.seal.images
    count = counted(len(images), "image")
    if done.written:
        yield f"{escaped(str(done.file))}  {count}, {sized(done.written.size)}"
        yield f"bundle   {done.identity}"
        yield f"sha256   {done.written.digest.encoded}"
    else:
        yield f"{escaped(str(done.file))} would carry {count}, {sized(done.plan.size)} before compression"
    for survey in done.plan.surveys:
        carried = survey.carried
        evidence = len({found.digest for lookup in carried.lookups for found in lookup.found} & carried.documents.keys())
        yield f"carried  {carried.reference}  {carried.root}"
        state = "verified" if done.plan.verdicts else "not verified"
        pieces = f"{counted(evidence, 'piece')} of evidence"
        yield f"         {state}; {pieces}; {', '.join(carried.platforms) or 'no platform'}"
