"""An import that is killed at every request: no tag ever names what is incomplete or unsigned, and the next run completes.

Each run is a process of its own, killed with SIGKILL by the registry when its k-th request comes, for every k until a run
ends unkilled: before the request is done, and with half of its body taken.
"""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pytest

from bundler.content.registry.client import Repository
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.serving.exchange import RefusedError, Request, Response
from bundler.serving.receiving import CutError
from tests.support.nursery import Nursery
from tests.support.station import Crossing, Image, Watched, faults, tags_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass
class Killer:
    """Kills whoever asks, when the k-th request comes; with ``half``, the k-th that has a body, once half of that came."""

    victim: int
    at: int
    half: bool
    seen: int = 0
    counting: Lock = field(default_factory=Lock)

    def __call__(self, request: Request) -> Response | None:
        size = request.body.length or 0
        if self.half and not size:
            return None
        with self.counting:  # two requests come at a time, and just one of them is the k-th
            self.seen += 1
            number = self.seen
        if number != self.at:
            return None
        if self.half:
            _take(request, size // 2)
        os.kill(self.victim, signal.SIGKILL)
        raise CutError


def _take(request: Request, size: int) -> None:
    """At least so many bytes of the body."""
    for piece in request.body:
        size -= len(piece)
        if size <= 0:
            return


def broken(repository: Repository, root: Document) -> list[str]:
    """What must never be seen: a name on something incomplete, or on an image whose signatures are not there yet."""
    found = faults(repository)
    named = tags_of(repository)
    if "v1" in named:
        for document in (root, *(repository.document(child.digest) for child in root.children)):
            assert document is not None
            found += [] if repository.document(f"{document.digest.tag}.sig") else [f"{document.digest} is unsigned"]
            found += [] if referrers(repository, document.digest) else [f"{document.digest} lacks its bundle"]
    return found


def referrers(repository: Repository, subject: Digest) -> set[Digest]:
    answer = repository.referrers(subject)
    fallback = None if answer.api else repository.document(subject.tag)
    return {descriptor.digest for descriptor in (fallback.children if fallback else answer.listed)}


def signed_everywhere(crossing: Crossing, *, index: bool) -> Image:
    root = crossing.content.index("words", ["linux/amd64"]) if index else crossing.content.image()
    for document in crossing.content.below(root):
        crossing.sign(document)
        crossing.attach(document)
    return crossing.push(root)


@pytest.mark.parametrize("half", [False, True], ids=["before the request", "in its body"])
@pytest.mark.parametrize("api", [True, False], ids=["with an API for referrers", "without"])
def test_whenever_it_is_killed_nothing_half_done_has_a_name_and_the_next_run_completes(api: bool, half: bool, tmp_path: Path) -> None:
    with Crossing(tmp_path, referrers_there=api) as crossing, Nursery.opened() as nursery:
        image = signed_everywhere(crossing, index=not half)
        bundle = crossing.export(image)
        words = ["import", bundle, "--trust", crossing.trust, "--map", f"{crossing.here.host}=x", "-j", "2"]
        for at in range(1, 500):
            with Watched(tmp_path / f"there-{at}", referrers_api=api) as there:
                killer = Killer(nursery.bear(*words, there.host), at, half)
                there.before = killer
                ended = nursery.let_run()
                there.before = lambda _: None
                repository = there.repository("x/team/app")
                assert broken(repository, image.root) == [], f"killed at request {at}"
                if ended == 0:
                    break
                assert ended == -signal.SIGKILL
                assert nursery.run(*words, there.host) == 0, f"after a kill at request {at}"
                assert tags_of(repository)["v1"] == image.root.digest
        else:
            pytest.fail("it is killed each time")
        assert killer.seen >= (9 if half else 27)  # what such an image takes at least


def test_a_registry_that_dies_at_any_request_ends_the_run_with_7_and_the_next_one_completes(tmp_path: Path) -> None:
    """The same from the other side: every answer from the k-th on is an error."""
    with Crossing(tmp_path) as crossing, Nursery.opened() as nursery:
        image = signed_everywhere(crossing, index=False)
        bundle = crossing.export(image)
        words = ["import", bundle, "--trust", crossing.trust, "--map", f"{crossing.here.host}=x", "-j", "2"]
        for at in range(1, 500):
            with Watched(tmp_path / f"there-{at}") as there:
                left = [at]

                def dead(_: Request, left: list[int] = left) -> None:
                    left[0] -= 1
                    if left[0] <= 0:
                        raise RefusedError(403, "DENIED", "dead")

                there.before = dead
                ended = nursery.run(*words, there.host)
                there.before = lambda _: None
                repository = there.repository("x/team/app")
                assert broken(repository, image.root) == [], f"dead at request {at}"
                if ended == 0:
                    break
                assert ended == 7
                assert nursery.run(*words, there.host) == 0
                assert tags_of(repository)["v1"] == image.root.digest
