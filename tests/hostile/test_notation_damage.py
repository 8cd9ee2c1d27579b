"""Notation envelopes of which each byte is another in turn."""

import random
from collections.abc import Callable

import pytest

from bundler.trust.notation.envelope import COSE, JWS, SignatureEnvelope
from tests.support.notary import SIGNING, Signing, judged


@pytest.mark.slow
@pytest.mark.parametrize(("form", "spell"), [(JWS, Signing.jws), (COSE, Signing.cose)], ids=["JWS", "COSE"])
def test_a_changed_byte_proves_nothing_or_nothing_else(form: str, spell: Callable[[Signing], bytes]) -> None:
    """Some bytes are nobody's: of the agent, of the timestamp's unsigned parts. What is proved then is the same."""
    raw, chance = spell(SIGNING), random.Random(5)  # noqa: S311 - the same bytes every time
    signed = SignatureEnvelope.parse(raw, form).signed
    for _ in range(3_000):
        place = chance.randrange(len(raw))
        changed = raw[:place] + bytes([raw[place] ^ 1 << chance.randrange(8)]) + raw[place + 1 :]
        if judged(changed, form):
            assert SignatureEnvelope.parse(changed, form).signed == signed
