"""``import --dry-run``: what an import would send and be refused, without a byte changed at the registry."""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundler.errors import Code
from bundler.serving.exchange import Request, Response
from tests.support.layouts import push
from tests.support.station import Crossing, Ran

LARGE = "words " * 20_000


def stored(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def counts(ran: Ran) -> tuple[int, str, int]:
    """Blobs that are sent, their size, and how many are there, as said."""
    [said] = re.findall(r"(?:would send|sent) (\d+) blobs?, (.*); (\d+) (?:are|were) there already\n", ran.err)
    return int(said[0]), said[1], int(said[2])


# --- what would be sent ---


def test_not_one_byte_at_the_registry_is_another_afterwards(crossing: Crossing) -> None:
    images = [crossing.signed_image(f"team/{name}:v1", words=LARGE + name) for name in ("there", "moved", "new")]
    root = crossing.sign(crossing.content.index())
    crossing.attach(root)
    images.append(crossing.push(root, "team/index:v1"))
    assert crossing.import_(crossing.export(images[0], to="before")).exit == 0
    push(crossing.arrived(images[1]), crossing.content, crossing.content.image("theirs"), tag="v1")
    bundle = crossing.export(*images)
    before = stored(crossing.folder / "there")
    crossing.there.asked.clear()
    ran = crossing.import_(bundle, "--dry-run", "--replace", "--json")
    assert ran.exit == 0
    assert stored(crossing.folder / "there") == before
    assert {line.partition(" ")[0] for line in crossing.there.asked} <= {"GET", "HEAD"}
    assert [image["state"] for image in ran.json["images"]] == ["same", "moved", "new", "new"]


def test_what_it_says_is_what_an_import_then_does(crossing: Crossing) -> None:
    """Layers of an image, of two that share one, and of one that is there already under another name."""
    here = [crossing.signed_image(f"team/{name}:v1", words=LARGE) for name in ("one", "two")]
    there = crossing.signed_image("team/three:v1", words=LARGE * 2)
    push(crossing.arrived(there), crossing.content, there.root, tag="other")
    bundle = crossing.export(*here, there)
    would = counts(crossing.import_(bundle, "--dry-run"))
    assert would == counts(crossing.import_(bundle, "-v"))
    assert would[0] > 0
    assert would[2] >= 2
    again = counts(crossing.import_(bundle, "--dry-run"))
    assert again == counts(crossing.import_(bundle, "-v"))
    assert again[:2] == (0, "0 B")


def test_quiet_does_not_say_it(crossing: Crossing) -> None:
    assert crossing.import_(crossing.export(crossing.signed_image()), "--dry-run", "-q").err == ""


def test_of_a_damaged_bundle_nothing_is_promised_and_nothing_was_sent(crossing: Crossing) -> None:
    noise = "".join(hashlib.sha256(b"%d" % number).hexdigest() for number in range(4_000))
    bundle = crossing.export(crossing.signed_image(words=noise))
    data = bytearray(bundle.read_bytes())
    data[len(data) * 3 // 4] ^= 1  # in the layer
    bundle.write_bytes(data)
    ran = crossing.import_(bundle, "--dry-run")
    assert (ran.exit, ran.first) == (4, crossing.run("verify", bundle).first)
    assert "would send" not in ran.err
    assert "blobs that were sent" not in ran.err
    assert not crossing.there.changes


# --- what would be refused ---


def test_an_index_without_all_its_platforms_may_be_refused_and_that_is_said(crossing: Crossing) -> None:
    crossing.there.strict_about_children = True
    image = crossing.push(crossing.sign(crossing.content.index()))
    bundle = crossing.export(image, flags=["--platform", "linux/arm64"])
    ran = crossing.import_(bundle, "--dry-run")
    assert ran.exit == 0
    said = f"the index lacks platforms or parts that it lists, and {crossing.there.host} may refuse it (registry.sparse-index)"
    assert said in ran.said
    assert crossing.import_(bundle, "--json").code == Code.REGISTRY_SPARSE_INDEX


def test_a_whole_index_and_one_that_is_there_are_not_doubted(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    assert "registry.sparse-index" not in crossing.import_(crossing.export(image, to="whole"), "--dry-run").out
    sparse = crossing.export(image, flags=["--platform", "linux/arm64"])
    assert crossing.import_(sparse).exit == 0
    assert "registry.sparse-index" not in crossing.import_(sparse, "--dry-run").out
    crossing.attach(image.root)
    crossing.push(image.root, "team/app:v1")
    later = crossing.import_(crossing.export(image, to="later", flags=["--platform", "linux/arm64"]), "--dry-run")
    assert counts(later)[0] > 0
    assert "registry.sparse-index" not in later.out


def test_what_cannot_be_read_at_the_registry_ends_a_dry_run_as_it_ends_an_import(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    assert crossing.import_(bundle).exit == 0
    path = crossing.arrived(image).name.partition("/")[2]
    crossing.there.answer_with(f"/v2/{path}/manifests/{image.root.digest.tag}.sig", b"{}", "application/json")
    ran = crossing.import_(bundle, "--dry-run", "--json")
    assert (ran.exit, ran.code) == (3, crossing.import_(bundle, "--json").code)


def jwt(**claims: Any) -> str:
    parts = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims)]
    return ".".join([*parts, "c2lnbmF0dXJl"])


def token_service(crossing: Crossing, text: str) -> Callable[[Request], Response | None]:
    """The registry wants a token, and gives this one to everybody."""

    def before(request: Request) -> Response | None:
        if request.path == "/token":
            return Response(200, {"Content-Type": "application/json"}, json.dumps({"token": text}).encode())
        if request.headers.get("authorization") == f"Bearer {text}":
            return None
        return Response(401, {"WWW-Authenticate": f'Bearer realm="{crossing.there.url}/token",service="there"'}, b"")

    return before


def granted(*actions: str) -> dict[str, Any]:
    return {"type": "repository", "name": "team/app", "actions": list(actions)}


@pytest.mark.parametrize("access", [[], [granted()], [granted("pull")]])
def test_a_token_that_does_not_let_us_push_is_told_with_the_code_of_the_import(access: list[dict[str, Any]], crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    crossing.there.before = token_service(crossing, jwt(access=access))
    ran = crossing.import_(bundle, "--dry-run", "--json")
    assert (ran.exit, ran.code) == (7, Code.REGISTRY_CREDENTIALS)
    assert ran.json["error"]["found"] == "a token that does not let us push"
    assert "does not let us pull and push" in ran.json["error"]["what"]
    assert not crossing.there.changes


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "two.parts",
        "a.~~~~.c",
        "a.e30.c",
        jwt(access=[granted("pull", "push")]),
        jwt(access=[granted("*")]),
        jwt(access=[granted("pull"), granted("push")]),
        jwt(access=[{"Type": "repository", "Name": "team/app", "Actions": ["pull"]}]),
        jwt(access="pull"),
        jwt(access=None),
        jwt(access=[granted() | {"actions": None}]),
        jwt(access=[granted() | {"actions": [["pull"]]}]),
        jwt(access=["pull"]),
        jwt(sub="alice"),
    ],
)
def test_of_a_token_that_says_nothing_against_it_nothing_is_said(text: str, crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    crossing.there.before = token_service(crossing, text)
    ran = crossing.import_(bundle, "--dry-run")
    assert ran.exit == 0, ran.err


def test_where_all_is_there_already_a_token_to_read_with_is_enough(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    assert crossing.import_(bundle).exit == 0
    crossing.there.before = token_service(crossing, jwt(access=[granted("pull")]))
    assert crossing.import_(bundle, "--dry-run").exit == 0
    assert crossing.import_(bundle).exit == 0


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_refuses_everything_is_told_in_a_dry_run_as_in_an_import(status: int, flags: list[str], crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    crossing.there.refuse(status, "DENIED", when=lambda _: True)
    ran = crossing.import_(bundle, "--json", *flags)
    assert (ran.exit, ran.code) == (7, Code.REGISTRY_CREDENTIALS)
