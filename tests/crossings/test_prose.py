"""What people read decides nothing: with every sentence of ``trust/`` another one, a verdict is the same but for its words."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bundler
from bundler.trust.simplesigning import CERTIFICATE, LOG_ENTRY
from tests.support import notary, signing, station
from tests.support.station import Crossing
from tests.support.world import IDENTITY, ISSUER, World, canonical

WORLD = World()
OTHER = "~~"  # behind each word in the copy
PROSE = re.compile("[a-z]{2}.* | .*[a-z]{2}", re.DOTALL)
NOT_OURS = {"cosign container image signature"}  # texts with spaces that formats of others spell


class Reworded(ast.NodeTransformer):
    """Each text with a space in it, but for docstrings, patterns, and formats of times."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        node.value = self.visit(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.func:
            case ast.Attribute(value=ast.Name(id="re")) | ast.Attribute(attr="strftime"):
                return node
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and node.value not in NOT_OURS and PROSE.search(node.value):
            return ast.copy_location(ast.Constant(re.sub("(?<=[a-z]) |$", rf"{OTHER}\g<0>", node.value)), node)
        return node


@pytest.fixture
def reworded(tmp_path: Path) -> Path:
    """A folder with a copy of the package in which all that ``trust/`` says is said otherwise."""
    package = tmp_path / "reworded" / "bundler"
    shutil.copytree(Path(bundler.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (package / "trust").rglob("*.py"):
        module.write_text(ast.unparse(ast.fix_missing_locations(Reworded().visit(ast.parse(module.read_text())))))
    return package.parent


def trust_of(folder: Path, host: str) -> Path:
    """A trust under which a key counts, and for some images an identity, or whoever a Notation store vouches for."""
    trust, root, ca, key = (folder / name for name in ("ours", "root.json", "ca.pem", "a.pub"))
    root.write_bytes(canonical(WORLD.root_json()))
    ca.write_bytes(notary.ROOT.pem)
    key.write_bytes(signing.P256.pem)
    who = ("--issuer", ISSUER, "--identity", IDENTITY, "--root", root, "--root-name", "ours")
    store = ("--store", "release", "--store-type", "ca", "--certificate", ca, "--subject", "CN=release,O=world.example")
    assert station.run("trust", "init", trust).exit == 0
    assert station.run("trust", "add", trust, "--image", "**", "--key", key, "--attestation", "spdx").exit == 0
    assert station.run("trust", "add", trust, "--image", f"{host}/identity/**", *who).exit == 0
    assert station.run("trust", "add", trust, "--image", f"{host}/store/**", *store).exit == 0
    return trust


def images(crossing: Crossing) -> list[str]:
    """One signed by each, one by a stranger, and one by nobody."""
    content = crossing.content
    made = {words: content.image(words) for words in ("key", "identity", "store", "stranger", "nobody")}
    content.sig(made["key"].digest, signing.signed(made["key"]))
    content.att(made["key"].digest, signing.att(made["key"]))
    signed = WORLD.signed(signing.payload(made["identity"]))
    beside = {CERTIFICATE: signed.leaf.pem.decode(), LOG_ENTRY: signed.annotation().decode()}
    content.sig(made["identity"].digest, (signed.message, signed.signature), annotations=beside)
    payload = canonical({"targetArtifact": made["store"].descriptor.to_json()})
    content.notation(made["store"], notary.Signing(payload=payload).jws())
    content.sig(made["stranger"].digest, signing.signed(made["stranger"], signing.OTHER))
    return [f"docker://{crossing.push(image, f'{words}/app:v1').reference}" for words, image in made.items()]


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--json", "-vv"])
def test_a_verdict_decides_by_fields_and_codes_alone(flag: str, crossing: Crossing, tmp_path: Path, reworded: Path) -> None:
    trust = trust_of(tmp_path, crossing.here.host)
    asked = [*images(crossing), "--trust", str(trust), "--at", "2026-03-01T12:00:00Z", flag]

    def said(package: Path) -> str:
        command = [sys.executable, "-m", "bundler", "verify", *asked]
        ran = subprocess.run(command, cwd=package, env=os.environ | {"COLUMNS": "10000"}, capture_output=True, text=True, check=False)
        assert ran.returncode == 5, ran.stderr
        return ran.stdout

    ours, other = said(Path(bundler.__file__).parents[1]), said(reworded)
    passed = [image["passed"] for image in json.loads(ours)["images"]] if flag == "--json" else ours.count("\nok ")
    assert passed == ([True, True, True, False, False] if flag == "--json" else 3)
    assert OTHER in other
    assert other.replace(OTHER, "") == ours
