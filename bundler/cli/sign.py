"""``sign``: images where they lie, as cosign does."""

from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.terminal import Terminal
from bundler.errors import UsageError
from bundler.stations.reach import Reach


@click.command("sign")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--key", required=True, type=click.Path(path_type=Path), metavar="KEY", help="The private key.")
@click.option(
    "--form",
    default="auto",
    show_default=True,
    metavar="auto|sig|bundle|sig,bundle",
    help="cosign's tag, a Sigstore bundle, or both; auto: the tag, and a bundle too where the image has one already.",
)
@click.option("--recursive", is_flag=True, help="Sign also every manifest below an index.")
@click.option("--annotation", "annotations", multiple=True, metavar="K=V", help="Something to say in what is signed; repeatable.")
@click.option("--as", "as_name", metavar="NAME", help="The reference that the one IMAGE is signed as.")
@options.network
@options.passphrase
@options.terminal
def command(
    *,
    out: Terminal,
    reach: Reach,
    password: options.Password,
    images: tuple[str, ...],
    key: Path,
    form: str,
    recursive: bool,
    annotations: tuple[str, ...],
    as_name: str | None,
) -> int:
    """Sign images where they lie, a registry or oci:DIR:REF. Signatures that are there stay.

    \b
    oci-bundler sign registry.example/app:1.0 --key release.key --recursive
    """
    from bundler.stations.imagesigner import AUTO, FORMS, Signed, sign
    from bundler.stations.joining import Joins
    from bundler.stations.places import Places, Wanted
    from bundler.stations.signer import open_signer

    forms = tuple(dict.fromkeys(form.split(",")))
    if forms != (AUTO,) and not set(forms) <= set(FORMS):
        raise UsageError("--form is not well-formed", found=ascii(form), wanted=f"{AUTO}, or one or both of {','.join(FORMS)}")
    if as_name and len(images) > 1:
        raise UsageError("--as names one image", found=f"{len(images)} images")
    said = dict(_pair(text) for text in annotations)
    signer = open_signer(key, role="image", password=password)
    listed = [Wanted(text, as_name) for text in dict.fromkeys(images)]
    for want in listed:
        want.check()
    signed: list[Signed] = []
    joins = Joins()
    with Places.of(reach, listed, say=out.say) as places:
        for want in listed:
            signed += sign(places.locate(want, write=True), signer=signer, forms=forms, annotations=said, recursive=recursive, joins=joins)
        joins.settle(jobs=reach.jobs)
    for remark in dict.fromkeys(remark for one in signed for remark in one.remarks):
        out.say(f"note: {remark}")
    lines = [f"signed {len(signed)} manifest{'s' if len(signed) != 1 else ''} with {signer.public.fingerprint}"]
    lines += [f"  {one.reference.repository}@{one.digest}" for one in signed]
    return out.answer({"signed": [one.to_json() for one in signed]}, lines)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError("--annotation is not well-formed", found=ascii(text), wanted="K=V")
    return name, value
