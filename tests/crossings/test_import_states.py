"""What an import says of each name: nothing had it, it was another image's, or it was this image's already."""

from collections.abc import Callable

import pytest

from bundler.errors import Code
from bundler.serving.exchange import Request
from tests.support.client import Client
from tests.support.layouts import push
from tests.support.station import Crossing, Image, Ran, Watched


def states(ran: Ran) -> list[str | None]:
    assert ran.exit == 0, ran.err
    return [image["state"] for image in ran.json["images"]]


def before_put(registry: Watched, tag: str, act: Callable[[], object]) -> list[str]:
    """Let somebody act just before the first time that the tag is put; gives what was seen of that."""
    seen: list[str] = []

    def before(request: Request) -> None:
        if request.method == "PUT" and request.path.endswith(f"/manifests/{tag}") and not seen:
            seen.append(request.path)
            act()

    registry.before = before
    return seen


@pytest.mark.parametrize("flags", [[], ["--replace"]])
def test_a_name_that_nothing_had_is_new_and_the_same_afterwards(crossing: Crossing, flags: list[str]) -> None:
    bundle = crossing.export(crossing.signed_image())
    assert states(crossing.import_(bundle, "--json", "--dry-run", *flags)) == ["new"]
    assert states(crossing.import_(bundle, "--json", *flags)) == ["new"]
    assert states(crossing.import_(bundle, "--json", "--dry-run", *flags)) == ["same"]
    assert states(crossing.import_(bundle, "--json", *flags)) == ["same"]


def test_a_name_of_another_image_is_moved(crossing: Crossing) -> None:
    images = [crossing.signed_image(f"team/{name}:v1", words=name) for name in ("one", "two", "three")]
    assert crossing.import_(crossing.export(images[0], to="before")).exit == 0
    push(crossing.arrived(images[1]), crossing.content, crossing.content.image("theirs"), tag="v1")
    bundle = crossing.export(*images)
    assert states(crossing.import_(bundle, "--json", "--replace", "--dry-run")) == ["same", "moved", "new"]
    assert states(crossing.import_(bundle, "--json", "--replace")) == ["same", "moved", "new"]
    assert crossing.arrived(images[1]).document("v1") == images[1].root


def test_what_is_not_an_image_at_the_name_is_moved(crossing: Crossing) -> None:
    image = crossing.signed_image()
    where = crossing.arrived(image)
    bundle = crossing.export(image)
    push(where, crossing.content, crossing.content.image("theirs"), tag="v1")
    crossing.there.answer_with(f"/v2/{where.name.partition('/')[2]}/manifests/v1", b'{"schemaVersion":1}', "application/json")
    assert crossing.import_(bundle, "--json").code == Code.NAME_CONFLICT
    assert states(crossing.import_(bundle, "--json", "--replace", "--dry-run")) == ["moved"]


def test_an_image_without_a_tag_is_new_or_the_same_by_its_manifest(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    crossing.push(root)
    bundle = crossing.export(f"{crossing.here.host}/team/app@{root.digest}")
    assert states(crossing.import_(bundle, "--json", "--dry-run")) == ["new"]
    assert states(crossing.import_(bundle, "--json")) == ["new"]
    assert states(crossing.import_(bundle, "--json", "--dry-run")) == ["same"]
    assert states(crossing.import_(bundle, "--json")) == ["same"]


def test_an_image_without_a_tag_that_is_there_is_asked_about_all_the_same(crossing: Crossing) -> None:
    """That its manifest is there does not say that all of it is, as a tag does."""
    root = crossing.sign(crossing.content.image("layer" * 8000))
    crossing.push(root)
    bundle = crossing.export(f"{crossing.here.host}/team/app@{root.digest}")
    assert crossing.import_(bundle).exit == 0
    arrived = crossing.arrived(Image(f"{crossing.here.host}/team/app@{root.digest}", root))
    crossing.there.forget(arrived.name, root.blobs[1].digest)
    assert states(crossing.import_(bundle, "--json")) == ["same"]
    assert arrived.has(root.blobs[1])


def test_images_that_may_not_enter_have_no_state(crossing: Crossing) -> None:
    good, bad = crossing.signed_image(), crossing.push(crossing.content.image("bad"), "team/bad:v1", evidence=False)
    ran = crossing.import_(crossing.export(good, bad, flags=["--allow-unsigned"]), "--json", "--admit-passing")
    assert ran.exit == 9
    assert [image["state"] for image in ran.json["images"]] == ["new", None]


def test_only_an_import_has_states(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    assert states(crossing.run("verify", bundle, "--json")) == [None]


# --- others write at the same time ---


def test_a_name_that_another_import_has_given_meanwhile_is_the_same(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle, where = crossing.export(image), crossing.arrived(image)
    seen = before_put(crossing.there, "v1", lambda: push(where, crossing.content, image.root, tag="v1"))
    assert states(crossing.import_(bundle, "--json")) == ["same"]
    assert seen


def test_a_name_that_comes_up_and_is_replaced_is_moved(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle, where, other = crossing.export(image), crossing.arrived(image), crossing.content.image("theirs")
    seen = before_put(crossing.there, "v1", lambda: push(where, crossing.content, other, tag="v1"))
    assert states(crossing.import_(bundle, "--json", "--replace")) == ["moved"]
    assert seen
    assert where.document("v1") == image.root


def test_a_name_that_is_written_again_and_again_is_replaced_in_the_end(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle, where = crossing.export(image), crossing.arrived(image)
    others = [crossing.content.image(f"theirs {number}") for number in range(9)]
    writing = False

    def before(request: Request) -> None:
        nonlocal writing
        if request.method == "PUT" and request.path.endswith("/manifests/v1") and not writing:
            writing = True
            push(where, crossing.content, others.pop(), tag="v1")
            writing = False

    crossing.there.before = before
    assert states(crossing.import_(bundle, "--json", "--replace")) == ["moved"]
    assert len(others) == 7
    assert where.document("v1") == image.root


def test_a_name_that_is_gone_again_is_new(crossing: Crossing) -> None:
    """It was another image's when it was asked for first, and nobody's when it was put."""
    image = crossing.signed_image()
    bundle, where = crossing.export(image), crossing.arrived(image)
    push(where, crossing.content, crossing.content.image("theirs"), tag="v1")
    path = f"/v2/{where.name.partition('/')[2]}/manifests/v1"
    gone: list[int] = []
    begun: list[str] = []

    def before(request: Request) -> None:
        if request.method == "POST" and not begun:
            begun.append(request.path)
            gone.append(Client(crossing.there.url).delete(path).status)

    crossing.there.before = before
    assert states(crossing.import_(bundle, "--json", "--replace")) == ["new"]
    assert gone == [202]
