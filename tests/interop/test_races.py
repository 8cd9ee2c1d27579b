"""Two writers at once, at each registry: no evidence is lost and no tag taken, though most registries know no condition.

``OCI_BUNDLER_RACES`` is the number of rounds.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundler.bundle.archive import opened
from bundler.content.registry.client import Registry
from bundler.content.registry.http import Access
from bundler.errors import Code, ConflictError
from bundler.stations import importer, truststore, verifier
from bundler.stations.station import Station
from tests.interop import peers as real
from tests.support import signing
from tests.support.layouts import Content, push
from tests.support.racers import ROUNDS, Racers, Twins, sign_race, signatures
from tests.support.station import Ran

PAIRS = 5  # that race side by side, each for an image of its own: they wait most of the time
pytestmark = pytest.mark.timeout(max(300, 10 * ROUNDS))


@pytest.fixture(scope="module")
def pairs() -> Iterator[list[Racers]]:
    with ExitStack() as running:
        yield [running.enter_context(Racers()) for _ in range(PAIRS)]


def wrong(pairs: Sequence[Racers], race: Callable[[Racers, str], tuple[list[Ran], int]]) -> list[str]:
    """The rounds after which a run had not ended well, or there were not two pieces of evidence: ``race`` gives both."""

    def rounds(pair: int) -> list[str]:
        found = []
        for number in range(pair, ROUNDS, PAIRS):
            ended, count = race(pairs[pair], f"round{number}")
            if [one.exit for one in ended] != [0, 0] or count != 2:
                found.append(f"round {number}: {count} of 2 pieces of evidence, {ended}")
        return found

    with ThreadPoolExecutor(PAIRS) as threads:
        return [line for lines in threads.map(rounds, range(PAIRS)) for line in lines]


@pytest.mark.parametrize("form", ["sig", "bundle"])
def test_two_that_sign_one_image_at_once_both_stand_at_the_end(
    form: str, registry: real.Registry, repository: str, pairs: list[Racers], tmp_path: Path
) -> None:
    with Registry(registry.host, Access(plain_http=True)) as client:
        there = client.repository(repository, push=True)

        def race(racers: Racers, name: str) -> tuple[list[Ran], int]:
            ended, image = sign_race(racers, tmp_path, there, name, form=form)
            return ended, signatures(there, image, form=form)

        assert wrong(pairs, race) == []


@pytest.mark.parametrize("form", ["sig", "att", "bundle"])
def test_two_imports_at_once_that_bring_evidence_each_leave_both_pieces(
    form: str, registry: real.Registry, repository: str, pairs: list[Racers], tmp_path: Path
) -> None:
    twins = Twins.made(tmp_path, form)
    with Registry(registry.host, Access(plain_http=True)) as client:

        def race(racers: Racers, name: str) -> tuple[list[Ran], int]:
            ended = twins.race(racers, f"{registry.host}/{repository}/{name}")
            return ended, signatures(client.repository(f"{repository}/{name}/app", push=True), twins.image, form=form)

        assert wrong(pairs, race) == []


@pytest.mark.parametrize("replace", [False, True])
def test_a_tag_that_comes_up_while_an_import_runs_is_moved_by_replace_alone(
    replace: bool, registry: real.Registry, repository: str, tmp_path: Path
) -> None:
    """It comes up after all tags were asked about, and before anything is sent."""
    twins, content = Twins.made(tmp_path, "sig"), Content()
    where = importer.Destination.parse(f"{registry.host}/{repository}", [f"{signing.REPOSITORY}=app"])
    with Registry(registry.host, Access(plain_http=True)) as client, opened(twins.bundles[0]) as bundle:
        there, theirs = client.repository(f"{repository}/app", push=True), content.image("theirs")

        @contextmanager
        def meanwhile(*_: object) -> Iterator[Callable[[int], None]]:
            push(there, content, theirs, tag="v1")
            yield lambda _: None

        proved = verifier.prove_documents(bundle, Station(truststore.load(twins.trust, {})), at=datetime.now(UTC), jobs=1)

        def imported() -> importer.Imported:
            return importer.import_admitted(proved, where, lambda _: there, jobs=1, overwrite=replace, dry_run=False, progress=meanwhile)

        if replace:
            assert imported().exit == 0
        else:
            with pytest.raises(ConflictError, match=f"app:v1 is {theirs.digest} now") as caught:
                imported()
            assert (caught.value.exit, caught.value.code) == (8, Code.NAME_CONFLICT)
        found = there.document("v1")
        assert found is not None
        assert found.digest == (twins.image if replace else theirs.digest)
        assert signatures(there, twins.image) == 1
