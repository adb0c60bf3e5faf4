"""The SIP software that tests call and that we did not write: where it is, and what is said where it is missing.

`make peers` installs it. Without it such tests are skipped aloud; with CI=true they run, and fail.
"""

import os
import shutil
from pathlib import Path

import pytest

PACKAGES = {
    "sipp": "sip-tester",
    "baresip": "baresip-core",
    "kamailio": "kamailio kamailio-tls-modules kamailio-extra-modules",
    "rtpengine": "rtpengine-daemon",
}
"""Program, and Debian's packages."""
_SEARCHED = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_LIBRARIES = (Path("/usr/lib"), Path("/usr/lib64"), *Path("/usr/lib").glob("*-linux-*"))


def modules(program: str) -> Path | None:
    """The folder of its loadable modules, whatever the machine's architecture."""
    return next((found for library in _LIBRARIES if (found := library / program / "modules").is_dir()), None)


def find(program: str) -> str | None:
    """Its path, with all that tests need of it; None where that is not installed."""
    path = shutil.which(program, path=_SEARCHED)
    match program:
        case "baresip" if modules(program) is None:
            return None
        case "kamailio" if not ((found := modules(program)) and (found / "tls.so").exists()):
            return None
    return path


def program(name: str) -> str:
    """Its path; a test that needs it and came here without is failed."""
    path = find(name)
    if path is None:
        pytest.fail(missing(name))
    return path


def missing(*programs: str) -> str:
    """What is not there, and how to get it."""
    packages = " ".join(PACKAGES[name] for name in programs)
    return f"{' and '.join(programs)} not installed (Debian: {packages}; `make peers` as root)"


def needs(*programs: str) -> pytest.MarkDecorator:
    """Marks tests that call these."""
    absent = [name for name in programs if find(name) is None]
    ci = os.environ.get("CI") == "true"
    return pytest.mark.skipif(bool(absent) and not ci, reason=missing(*absent) if absent else "")
