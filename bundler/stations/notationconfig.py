"""Taking over the configuration of Notation: its trust policy, and the stores beside it."""

from pathlib import Path

from bundler.content.files import read_small
from bundler.errors import Code, FormatError, UsageError, translated
from bundler.stations.names import Names
from bundler.stations.newanchors import NewStore
from bundler.stations.truststore import Trust, extend
from bundler.trust.addition import render_denial, render_rule
from bundler.trust.notation import convert

MAX_STORE_FILES = 1000  # as certificates in a store


def add(trust: Trust, folder: Path) -> tuple[Trust, tuple[str, ...]]:
    """Take over the policy and the stores of a Notation configuration; and what of it is denied instead, in words.

    Raises UsageError (``trust.form``, ``trust.store``, ``usage.input``), also where nothing would be admitted.
    """
    path = next((p for p in (folder / "trustpolicy.oci.json", folder / "trustpolicy.json") if p.is_file()), None)
    if path is None:
        raise UsageError(f"{folder} has no trust policy", code=Code.USAGE_INPUT, wanted="trustpolicy.json, and truststore beside it")
    raw = read_small(path, limit=convert.MAX_DOCUMENT, what="the trust policy")
    with translated(FormatError, to=UsageError, what=f"{path} cannot be taken over", code=Code.TRUST_FORM):
        converted = convert.convert(raw)
    if not converted.admits:
        raise UsageError(
            f"nothing of {path} is strict enough to be taken over",
            code=Code.TRUST_FORM,
            found="; ".join(converted.notes),
            wanted="level strict",
        )
    texts: list[str] = []
    files: dict[str, bytes] = {}
    names = Names(trust.policy.names)
    for kind, name in converted.stores:
        place = folder / "truststore" / "x509" / kind / name
        text, more = NewStore(convert.label((kind, name)), kind, _listed(place)).addition(trust)
        texts, files = [*texts, text], {**files, **more}
    for rule in converted.rules:
        if rule.deny is not None:
            texts.append(render_denial(scope=rule.scope, reason=rule.deny))
            continue
        signers = names.of_others([signer.to_toml() for signer in rule.signers])
        texts.append(render_rule(scope=rule.scope, signers=signers, threshold=1 if len(signers) > 1 else None))
    return extend(trust, "\n".join(texts), files), converted.notes


def _listed(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"the store {folder} cannot be read", code=Code.TRUST_STORE, found=error.strerror) from error
    if not 1 <= len(found) <= MAX_STORE_FILES:
        raise UsageError(
            f"the store {folder} has no or too many files", code=Code.TRUST_STORE, found=len(found), wanted=f"1 to {MAX_STORE_FILES}"
        )
    return found
