"""Two runs of the command at once, in two processes that live for many rounds; and whether a signature was lost between them.

``python -m tests.support.racers`` reads the words of one run a line, as JSON, and answers with a line when it has ended.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bundler.content.registry.client import Repository
from bundler.oci.digest import Digest
from bundler.oci.manifest import Index, Manifest
from tests.support import signing
from tests.support.layouts import Content, push, write_layout
from tests.support.signing import Key
from tests.support.station import EXPORTER, RELEASE, Ran, run, write_key, write_trust

ROUNDS = int(os.environ.get("OCI_BUNDLER_RACES", "10"))  # 1,000 at serve and 200 elsewhere is what a release was measured with


class Racers:
    """Processes that wait for their words. A context: leaving it ends them."""

    def __init__(self, count: int = 2) -> None:
        self._count = count
        self._running = ExitStack()
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        for _ in range(self._count):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.racers"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
            )
            self._running.enter_context(process)
            self._running.callback(process.kill)
            self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def run(self, *runs: Sequence[object]) -> list[Ran]:
        """These runs at once, each in a process of its own; how each ended."""
        for process, words in zip(self._processes, runs, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
            process.stdin.flush()
        ended = []
        for process in self._processes:
            assert process.stdout is not None
            ended.append(Ran(**json.loads(process.stdout.readline())))
        return ended


def sign_race(racers: Racers, folder: Path, repository: Repository, image: str, *, form: str = "sig") -> tuple[list[Ran], Digest]:
    """One image, signed with two keys at once; how both ended, and the image."""
    content = Content()
    document = content.image(image)
    push(repository, content, document, tag=image)
    keys = [write_key(folder / f"{image}-{number}.key", Key.of("p256", 20 + number)) for number in range(2)]
    words = ("sign", f"{repository.name}:{image}", "--form", form, "--json", "--key")
    return racers.run(*((*words, key) for key in keys)), document.digest


@dataclass(frozen=True)
class Twins:
    """Two bundles of one image, each with a piece of evidence that the other lacks, and the trust that either passes under."""

    image: Digest
    bundles: tuple[Path, ...]
    trust: Path
    form: str

    @classmethod
    def made(cls, folder: Path, form: str) -> Self:
        """With a ``sig``, an ``att`` (and the same ``.sig``), or a ``bundle`` that refers to the image."""
        keys = [RELEASE, Key.of("p256", 7)]
        trust = write_trust(folder / "trust", rules=[signing.rule(*keys, threshold=1)], seals=[signing.seal(EXPORTER)])
        sealer, bundles = write_key(folder / "exporter.key", EXPORTER), []
        image = Content().image()
        for number, key in enumerate(keys):
            content, layout = Content(), folder / f"layout{number}"
            content.image()
            if form in ("sig", "att"):
                content.sig(image.digest, signing.signed(image, RELEASE if form == "att" else key))
            if form == "att":
                content.att(image.digest, signing.att(image, key))
            if form == "bundle":
                content.bundle(image, json.dumps(signing.bundle(signing.dsse(image, key), key)).encode(), predicate_type=signing.SIGN)
            repository = signing.NAME.rpartition(":")[0]
            write_layout(layout, content, {signing.NAME: image, **{f"{repository}:{tag}": made for tag, made in content.tags.items()}})
            bundles.append(folder / f"{number}.oci.tar.zst")
            done = run("export", f"oci:{layout}:{signing.NAME}", "-o", bundles[-1], "--key", sealer)
            assert done.exit == 0, done.err
        return cls(image.digest, tuple(bundles), trust, form)

    def race(self, racers: Racers, where: str) -> list[Ran]:
        """Both imported to ``HOST/PREFIX`` at once; how both ended."""
        words = (where, "--trust", self.trust, "--map", f"{signing.REPOSITORY}=app")
        return racers.run(*(("import", bundle, *words) for bundle in self.bundles))


def signatures(repository: Repository, image: Digest, *, form: str = "sig") -> int:
    """How many are found by the name that cosign looks at, or as what refers to the image."""
    if form == "bundle" and (answer := repository.referrers(image)).api:
        return len(answer.listed)
    found = repository.document(image.tag if form == "bundle" else f"{image.tag}.{form}")
    match found.content if found else None:
        case Manifest(layers=layers):
            return len(layers)
        case Index(listed=children):
            return len(children)
    return 0


def _serve() -> None:
    for line in sys.stdin:
        ended = run(*json.loads(line))
        print(json.dumps({"exit": ended.exit, "out": ended.out, "err": ended.err}), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _serve()
