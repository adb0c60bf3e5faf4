"""What is said of software that tests need and that is not here."""

from pathlib import Path

import pytest

from tests.support import peers


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any of it."""
    monkeypatch.setattr(peers, "_SEARCHED", str(tmp_path))


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(("ci", "skipped"), [("", True), ("true", False)])
def test_what_is_missing_is_skipped_aloud_and_fails_where_it_must_not(
    monkeypatch: pytest.MonkeyPatch, ci: str, skipped: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    mark = peers.needs("sipp", "kamailio").mark
    assert mark.args == (skipped,)
    assert "kamailio-tls-modules" in mark.kwargs["reason"]
    assert "make peers" in mark.kwargs["reason"]
    with pytest.raises(pytest.fail.Exception, match="sip-tester"):
        peers.program("sipp")


def test_every_program_is_installed_by_the_script() -> None:
    script = (Path(__file__).parents[2] / "tools" / "peers.sh").read_text()
    for packages in peers.PACKAGES.values():
        assert packages in script
