"""Two runs of ``sign`` at once, at each registry: none of the signatures is lost, though most registries know no condition.

``OCI_BUNDLER_RACES`` is the number of rounds.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bundler.content.registry.client import Registry
from bundler.content.registry.http import Access
from tests.interop import peers as real
from tests.support.racers import ROUNDS, Racers, sign_race, signatures

PAIRS = 5  # that race side by side, each for an image of its own: they wait most of the time


@pytest.mark.timeout(max(300, 10 * ROUNDS))
@pytest.mark.parametrize("form", ["sig", "bundle"])
def test_two_that_sign_one_image_at_once_both_stand_at_the_end(form: str, registry: real.Registry, repository: str, tmp_path: Path):
    with Registry(registry.host, Access(plain_http=True)) as client:
        there = client.repository(repository, push=True)

        def race(pair: int) -> list[str]:
            wrong = []
            with Racers() as racers:
                for number in range(pair, ROUNDS, PAIRS):
                    ended, image = sign_race(racers, tmp_path, there, f"round{number}", form=form)
                    found = (
                        len(there.referrers(image).listed)
                        if form == "bundle" and registry.referrers
                        else signatures(there, image, form=form)
                    )
                    if [one.exit for one in ended] != [0, 0] or found != 2:
                        wrong.append(f"round {number}: {found} of 2 signatures, {ended}")
            return wrong

        with ThreadPoolExecutor(PAIRS) as threads:
            wrong = [line for lines in threads.map(race, range(PAIRS)) for line in lines]
    assert not wrong, f"{len(wrong)} of {ROUNDS} rounds\n" + "\n".join(wrong)
