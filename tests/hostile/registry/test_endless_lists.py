"""Lists whose pages never end."""

import tracemalloc

from bundler.errors import Code
from tests.support.hostile_registry import Exchange, HostileRegistry
from tests.support.lists import REFERRERS, SUBJECT, index, referrer
from tests.support.reach import Reach, fails


def test_pages_together_have_a_limit(server: HostileRegistry, reach: Reach) -> None:  # REG-041
    heavy = referrer(1).to_json() | {"annotations": {str(n): "x" * 1000 for n in range(4000)}}

    def another(exchange: Exchange) -> bytes:
        count = int(exchange.target.partition("page=")[2] or "0")
        return index(link=f"<?page={count + 1}>; rel=next", manifests=[heavy])

    server.always("GET", REFERRERS, another)
    tracemalloc.start()
    try:
        error = fails(lambda: reach(server).referrers(SUBJECT))
        assert tracemalloc.get_traced_memory()[1] < 128 << 20
    finally:
        tracemalloc.stop()
    assert (error.exit, error.code, len(server.asked)) == (3, Code.LIMIT_ANSWER, 17)
