"""The OCI's own conformance suite of 2026, run on the embedded registry: every group of it passes.

It is on no package registry, so it cannot be pinned beside the other peers: whoever has the program names it in
``$OCI_CONFORMANCE``. The same rules, as far as they are the specification's, are ours in
tests/unit/serving/test_conformance.py, which always run.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from bundler.serving.server import Server


@pytest.mark.parametrize("version", ["1.1", "dev"])  # the released specification, and what its next one will ask for
def test_every_group_passes(version: str, tmp_path: Path) -> None:
    program = os.environ.get("OCI_CONFORMANCE")
    if not program:
        pytest.skip("$OCI_CONFORMANCE does not name the program")
    with Server(tmp_path / "registry") as server:
        told = {"OCI_REGISTRY": server.url.removeprefix("http://"), "OCI_TLS": "disabled", "OCI_VERSION": version}
        ran = subprocess.run([program], env=told, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    counts = {name: int(count) for name, count in re.findall(r"^  (Skip|Pass|FAIL|Error)\.*: +([0-9]+)$", ran.stdout, re.MULTILINE)}
    assert ran.returncode == 0, ran.stdout
    assert counts.pop("Pass") > 800
    assert counts == {"Skip": 0, "FAIL": 0, "Error": 0}, ran.stdout
    groups = re.findall(r"^  ([A-Z][\w \-]+)\.+: +(\w+)$", ran.stdout.partition("API conformance:")[2], re.MULTILINE)
    assert len(groups) > 40
    assert {result for _, result in groups} <= {"Pass", "Disabled"}
