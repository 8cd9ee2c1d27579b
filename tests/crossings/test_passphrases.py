"""Where the passphrase of a private key comes from: a file, the environment, a prompt; never the command line."""

import os
import pty
import select
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tests.support.signing import Key, PrivateKey
from tests.support.station import RELEASE, Crossing, run, write_key

SECRET = "correct horse"


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    return write_key(tmp_path / "locked.key", RELEASE, passphrase=SECRET)


def sign(crossing: Crossing, key: Path, *flags: object, **how: object) -> tuple[int, str | None]:
    image = crossing.push(crossing.content.image())
    ran = run("sign", image.reference, "--key", key, "--json", *flags, **how)  # type: ignore[arg-type]
    return ran.exit, ran.json.get("error", {}).get("code")


def test_from_the_environment(crossing: Crossing, locked: Path) -> None:
    assert sign(crossing, locked, env={"OCI_BUNDLER_PASSWORD": SECRET}) == (0, None)


@pytest.mark.parametrize("content", [SECRET, f"{SECRET}\n", f"{SECRET}\r\n", f"{SECRET}\nand a remark\n"])
def test_from_the_first_line_of_a_file(content: str, crossing: Crossing, locked: Path) -> None:
    (crossing.folder / "p").write_bytes(content.encode())
    assert sign(crossing, locked, "--password-file", crossing.folder / "p") == (0, None)


def test_the_file_that_is_named_goes_before_the_environment(crossing: Crossing, locked: Path) -> None:
    (crossing.folder / "p").write_text(SECRET)
    assert sign(crossing, locked, "--password-file", crossing.folder / "p", env={"OCI_BUNDLER_PASSWORD": "wrong"}) == (0, None)


@pytest.mark.parametrize("wrong", ["", "wrong", SECRET + " ", "x" * 1024, "x" * 5000, "\udcff"])
def test_a_wrong_one_ends_with_2(wrong: str, crossing: Crossing, locked: Path) -> None:
    assert sign(crossing, locked, env={"OCI_BUNDLER_PASSWORD": wrong}) == (2, "usage.password")


def test_a_file_that_is_not_there_ends_with_2(crossing: Crossing, locked: Path) -> None:
    assert sign(crossing, locked, "--password-file", "/nowhere") == (2, "usage.input")


def test_where_there_is_no_terminal_nobody_is_asked(crossing: Crossing, locked: Path) -> None:
    assert sign(crossing, locked) == (2, "usage.password")
    assert sign(crossing, locked, stdin=SECRET.encode()) == (2, "usage.password")


@pytest.mark.parametrize("flag", ["--password", "--passphrase"])
def test_no_option_takes_it(flag: str, crossing: Crossing, locked: Path) -> None:
    assert sign(crossing, locked, f"{flag}={SECRET}") == (2, "usage")


def test_it_is_shown_nowhere(crossing: Crossing, locked: Path) -> None:
    image = crossing.push(crossing.content.image())
    ran = run("sign", image.reference, "--key", locked, "-vvv", env={"OCI_BUNDLER_PASSWORD": SECRET})
    assert SECRET not in ran.out + ran.err


def asked(words: list[str], *answers: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """What a person at a terminal sees who gives these answers, and how it ends."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "bundler", *words]
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, **(env or {})}, start_new_session=True
    ) as process:
        os.close(terminal)
        seen, waiting, end = b"", list(answers), time.monotonic() + 120
        while time.monotonic() < end:
            if select.select([controller], [], [], 0.1)[0]:
                try:
                    data = os.read(controller, 4096)
                except OSError:
                    break
                seen += data
                if not data:
                    break
            elif process.poll() is not None:
                break
            if waiting and seen.endswith(b": ") and not select.select([controller], [], [], 0.3)[0]:
                os.write(controller, waiting.pop(0).encode() + b"\n")
        process.wait(60)
    os.close(controller)
    return process.returncode, seen.decode()


def test_a_person_is_asked_and_what_he_types_is_not_shown(crossing: Crossing, locked: Path) -> None:
    image = crossing.push(crossing.content.image())
    code, seen = asked(["sign", image.reference, "--key", str(locked)], SECRET)
    assert code == 0, seen
    assert f"passphrase of {locked}" in seen
    assert SECRET not in seen


def test_a_person_who_slips_is_told(crossing: Crossing, locked: Path) -> None:
    image = crossing.push(crossing.content.image())
    code, seen = asked(["sign", image.reference, "--key", str(locked)], "wrong")
    assert code == 2
    assert "usage.password" in seen


def test_a_new_passphrase_is_asked_for_twice(tmp_path: Path) -> None:
    code, seen = asked(["keygen", str(tmp_path / "new")], SECRET, SECRET)
    assert code == 0, seen
    load_pem_private_key((tmp_path / "new.key").read_bytes(), SECRET.encode())


# --- keygen ---


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa3072", "ed25519"])
def test_keys_of_every_type_are_made_in_files_that_nobody_else_reads(kind: str, tmp_path: Path) -> None:
    os.umask(old := os.umask(0))
    try:
        ran = run("keygen", tmp_path / "k", "--type", kind, "--no-password", "--json")
    finally:
        os.umask(old)
    assert ran.exit == 0
    assert set(ran.json) == {"key", "public", "fingerprint"}
    key, public = Path(ran.json["key"]), Path(ran.json["public"])
    assert (stat.S_IMODE(key.stat().st_mode), stat.S_IMODE(public.stat().st_mode) & 0o022) == (0o600, 0)
    private = load_pem_private_key(key.read_bytes(), None)
    assert private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) == key.read_bytes()
    assert isinstance(private, PrivateKey)
    assert ran.json["fingerprint"] == Key("any", private).fingerprint
    checked = subprocess.run(["openssl", "pkey", "-pubin", "-in", public, "-noout"], check=False, capture_output=True)
    assert checked.returncode == 0


def test_a_key_with_a_passphrase_is_encrypted(tmp_path: Path) -> None:
    assert run("keygen", tmp_path / "k", env={"OCI_BUNDLER_PASSWORD": SECRET}).exit == 0
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in (tmp_path / "k.key").read_bytes()


@pytest.mark.parametrize("env", [{}, {"OCI_BUNDLER_PASSWORD": ""}, {"OCI_BUNDLER_PASSWORD": "x" * 1024}])
def test_without_a_usable_passphrase_no_key_is_made(env: dict[str, str], tmp_path: Path) -> None:
    ran = run("keygen", tmp_path / "k", "--json", env=env)
    assert (ran.exit, ran.code) == (2, "usage.password")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["k.key", "k.pub"])
@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_a_file_that_exists_is_never_overwritten(kind: str, name: str, tmp_path: Path) -> None:
    if kind == "file":
        (tmp_path / name).write_text("mine")
    else:
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    ran = run("keygen", tmp_path / "k", "--no-password", "--json")
    assert (ran.exit, ran.code) == (8, "output.exists")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert run("keygen", tmp_path / "k").exit == 8  # before anybody is asked for a passphrase


@pytest.mark.parametrize("name", ["/", ".", "..", ""])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("keygen", name, "--no-password").exit == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["release.key", "release.pub"])
def test_the_name_of_a_file_is_not_the_name_of_a_pair(name: str, tmp_path: Path) -> None:
    ran = run("keygen", tmp_path / name, "--no-password", "--json")
    assert (ran.exit, ran.json["error"]["next"]) == (2, f"oci-bundler keygen {tmp_path}/release")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_ends_without_a_trace(tmp_path: Path) -> None:
    ran = run("keygen", tmp_path / "none/k", "--no-password", "--json")
    assert (ran.exit, ran.code) == (7, "disk.io")


# --- what is no key that can be used here ---


COSIGN = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
NO_KEYS = {
    "empty": b"",
    "a public key": RELEASE.pem,
    "cosign's own": COSIGN.encode(),
    "no PEM": b"\x30\x00",
    "damaged": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
}


@pytest.mark.parametrize("case", NO_KEYS)
def test_what_is_no_private_key_is_refused(case: str, tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(NO_KEYS[case])
    ran = run("sign", "registry.example/app", "--key", tmp_path / "k", "--json")
    assert (ran.exit, ran.code) == (2, "usage.key")


def test_cosigns_own_form_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(COSIGN)
    said = run("sign", "registry.example/app", "--key", tmp_path / "k", "--json").json["error"]
    assert said["wanted"] == "PKCS#8"
    assert "cosign import-key-pair" in said["next"]


def test_a_key_file_that_is_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "k")
    assert run("sign", "registry.example/app", "--key", tmp_path / "k", "--json").code == "usage.input"
