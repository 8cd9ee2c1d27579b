"""``sign``: images where they lie, as cosign does."""

import sys
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.commands import Argument, Command
from bundler.cli.terminal import Terminal
from bundler.errors import UsageError
from bundler.stations.registryflags import RegistryFlags


@click.command("sign", cls=Command)
@click.argument(
    "images",
    metavar="IMAGE...",
    nargs=-1,
    cls=Argument,
    shell_complete=options.completes_files,
    help="HOST/REPOSITORY:TAG at a registry, or oci:DIR:REF.",
)
@click.option("--images", "list_file", metavar="FILE", shell_complete=options.completes_files, help="References, one a line; - for stdin.")
@click.option("--key", required=True, type=click.Path(path_type=Path), metavar="KEY", help="The private key.")
@click.option(
    "--form",
    default="auto",
    show_default=True,
    metavar="auto|sig|bundle|sig,bundle",
    shell_complete=options.completes("auto", "sig", "bundle", "sig,bundle"),
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
    reach: RegistryFlags,
    password: options.Password,
    images: tuple[str, ...],
    list_file: str | None,
    key: Path,
    form: str,
    recursive: bool,
    annotations: tuple[str, ...],
    as_name: str | None,
) -> int:
    """Sign images where they lie, a registry or oci:DIR:REF. Signatures that are there stay.

    Where one image cannot be signed, the others are all the same, and the exit code is the lowest of those that failed.

    \b
    Examples:
      oci-bundler sign registry.example/app:1.0 --key release.key --recursive
    """
    from bundler.cli import failures
    from bundler.cli import signed as told
    from bundler.stations.imagesigner import AUTO, FORMS, Signed, sign
    from bundler.stations.merging import Joins
    from bundler.stations.places import ImageArgument, Places, image_arguments
    from bundler.stations.privatekeys import open_signer

    forms = tuple(dict.fromkeys(form.split(",")))
    if forms != (AUTO,) and not set(forms) <= set(FORMS):
        raise UsageError("--form is not well-formed", found=ascii(form), wanted=f"{AUTO}, or one or both of {','.join(FORMS)}")
    said = dict(_pair(text) for text in annotations)
    listed = image_arguments(images, list_file=list_file, as_name=as_name, stdin=sys.stdin.buffer)
    signer = open_signer(key, role="image", password=password)
    options.warn_of_open_keys(out, [key])
    joins = Joins()
    with Places.of(reach, listed, say=out.say) as places:

        def one(want: ImageArgument) -> tuple[Signed, ...]:
            image = places.locate(want, write=True)
            return sign(image, signer=signer, forms=forms, annotations=said, recursive=recursive, joins=joins)

        done, failed = places.each(listed, one, jobs=1)
        joins.settle(jobs=reach.jobs)
    signed = [each for image in done for each in image]
    for remark in dict.fromkeys(remark for one in signed for remark in one.remarks):
        out.say(f"note: {remark}")
    lines = told.lines(signed, failed, signer.public.fingerprint)
    return out.answer(told.value(signed, failed), lines, exit=failures.lowest(failed))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError("--annotation is not well-formed", found=ascii(text), wanted="K=V")
    return name, value
