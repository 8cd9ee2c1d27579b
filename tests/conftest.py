"""Tests see nothing of the machine they run on: not its user's trust, logins, proxies, colours or file modes."""

import gc
import os
import signal
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from tests.support.vectors import MISSING

LEFT_OUTSIDE = (
    *("OCI_BUNDLER_TRUST", "OCI_BUNDLER_STATION", "OCI_BUNDLER_PASSWORD", "SOURCE_DATE_EPOCH"),
    *("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CACHE_HOME", "XDG_STATE_HOME"),
    *("NO_COLOR", "FORCE_COLOR", "COLUMNS"),
)

# The same examples in every run of CI, new ones at home; how long one takes depends on the machine.
hypothesis.settings.register_profile("tests", deadline=None, derandomize="CI" in os.environ, print_blob=True)
# What make unit asks for: a tenth of the examples, at every run of whoever writes code; make test tries them all.
hypothesis.settings.register_profile("few", hypothesis.settings.get_profile("tests"), max_examples=10)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    # What a shell starts in the background ignores SIGINT, and under nohup SIGHUP; so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    mask = os.umask(0o022)  # a trust folder that others may write is refused, and some users' masks allow it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
        for name in LEFT_OUTSIDE:
            patch.delenv(name, raising=False)
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)
        # A test sees a file whether a disk has it or not, and waiting for the disk is most of what one would wait for. Processes
        # that the tests start do wait, and tests that ask what is synced when replace this once more.
        patch.setattr(os, "fsync", _synced)
        yield
    os.umask(mask)


def _synced(descriptor: int) -> None:
    os.fstat(descriptor)  # of a file that is not open any more it is an error all the same


def pytest_collection_finish() -> None:
    """The modules and the items of all tests stay to the end: nothing is gained where each collection of garbage looks at them again."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tests that lack the vectors of others are told in one line: pytest folds what is skipped at one place."""
    report = yield
    match report.longrepr:
        case (str(), int(), str(reason)) if reason.endswith(MISSING):
            report.longrepr = ("tests", 0, reason)
    return report
