"""Two runs of the command at once, in two processes that live for many rounds; and whether a signature was lost between them.

``python -m tests.support.racers`` reads the words of one run a line, as JSON, and answers with a line when it has ended.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bundler.content.registry.client import Repository
from bundler.oci.digest import Digest
from bundler.oci.manifest import Index, Manifest
from tests.support.layouts import Content, push
from tests.support.signing import Key
from tests.support.station import Ran, run, write_key

ROUNDS = int(os.environ.get("OCI_BUNDLER_RACES", "20"))  # 1,000 at serve and 200 elsewhere is what a release was measured with


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


def signatures(repository: Repository, image: Digest, *, form: str = "sig") -> int:
    """How many are found by the name that cosign looks at."""
    found = repository.document(f"{image.tag}.sig" if form == "sig" else image.tag)
    match found.content if found else None:
        case Manifest(layers=layers):
            return len(layers)
        case Index(children=children):
            return len(children)
    return 0


def _serve() -> None:
    for line in sys.stdin:
        ended = run(*json.loads(line))
        print(json.dumps({"exit": ended.exit, "out": ended.out, "err": ended.err}), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _serve()
