"""Make a virtual environment with Outdial in it, on a machine that may lack ensurepip.

    python3.11 tools/venv.py .venv [--extra test]

Standard library only. Does nothing when the environment is already what pyproject.toml and constraints.txt ask for:
what it made is written into `<venv>/.outdial-stamp`, last of all, so an interrupted set-up starts again.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
STAMP = ".outdial-stamp"
PIP_WHEELS = ("/usr/share/python-wheels", "/usr/share/python3-wheels")  # Debian's python3-pip-whl

HELP = """\
outdial: this Python ({python}) has no way to install packages: no ensurepip, no pip, no uv on this machine.
On Debian and Ubuntu one package is enough:

    sudo apt-get install python3-venv

Then run the same command again."""

NO_PHONES = """\
outdial: no calls over SIP trunks on this machine: the extra `sip` has no wheels for it ({why}).
Everything else works; the demo rings the phones of the network in a box.
"""


def main() -> int:
    """Bring one environment up to date; the exit code is 0 when it is ready."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("venv", type=Path)
    asked.add_argument("--extra", default="test", help="the optional dependencies to install (default: test)")
    args = asked.parse_args()
    if sys.version_info < OLDEST:
        return complain(
            f"outdial needs Python {OLDEST[0]}.{OLDEST[1]} or newer; {sys.executable} is {sys.version.split()[0]}"
        )
    venv: Path = args.venv.absolute()
    venv.parent.mkdir(parents=True, exist_ok=True)
    with venv.with_name(venv.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once: the second waits and finds it done
        return refresh(venv, args.extra)


def refresh(venv: Path, extra: str) -> int:
    """Install what is missing, unless the stamp says that nothing is."""
    stamp, wanted = venv / STAMP, digest(venv, extra)
    if stamp.is_file() and stamp.read_text() == wanted and (venv / "bin/python").exists():
        return 0
    if not fits(venv):
        create(venv)
    stamp.unlink(missing_ok=True)
    installer = next(installers(venv), None)
    if installer is None:
        return complain(HELP.format(python=sys.executable))
    sys.stderr.write(f"outdial: installing into {venv.name}; the first time takes a minute or two\n")
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    done = subprocess.run([*installer, "install", "-q", "-c", str(ROOT / "constraints.txt"), "-e", target], check=False)
    if done.returncode == 0:
        install_phones(installer)
        stamp.write_text(wanted)
    return done.returncode


def install_phones(installer: list[str]) -> None:
    """The extra `sip`, from wheels only; a machine for which there are none does without, and is told so."""
    wheels = ["--only-binary", ":all:", "--no-binary", "outdial"]
    asked = [*installer, "install", "-q", "-c", str(ROOT / "constraints.txt"), *wheels, "-e", f"{ROOT}[sip]"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        sys.stderr.write(NO_PHONES.format(why=why))


def digest(venv: Path, extra: str) -> str:
    """What the environment depends on: where it is, which Python it is for, what is asked for."""
    parts = [str(venv), str(ROOT), sys.version, extra, requirements(), (ROOT / "constraints.txt").read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def requirements() -> str:
    """The part of pyproject.toml that decides what is installed: all before the settings of other tools."""
    import tomllib

    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return repr((told["build-system"], told["project"], told["tool"].get("hatch")))


def fits(venv: Path) -> bool:
    """Whether an environment stands at that very place and is of this Python's version."""
    home = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if not home.is_dir() or not (venv / "bin/python").exists():
        return False
    asked = [str(venv / "bin/python"), "-c", "import sys; print(sys.prefix, sys.version)"]
    told = subprocess.run(asked, check=False, capture_output=True, text=True)
    return told.returncode == 0 and told.stdout == f"{venv} {sys.version}\n"


def create(venv: Path) -> None:
    """Make the bare environment: `--without-pip` needs no ensurepip, which Debian keeps in a package of its own."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv)], check=True)


def installers(venv: Path) -> Iterator[list[str]]:
    """Commands that can install into the environment, best first; each one was tried."""
    inside = str(venv / "bin/python")
    own = [inside, "-m", "pip"]
    if works(own):
        yield own
    if works([inside, "-m", "ensurepip", "--default-pip"]) and works(own):
        yield own
    for pip in foreign_pips():
        # pip 22.3 and newer can work on another environment: there it installs the environment's own pip
        if works([*pip, "--python", inside, "install", "-q", "pip"]) and works(own):
            yield own
    if (uv := shutil.which("uv")) and works([uv, "pip", "install", "-q", "--python", inside, "pip"]) and works(own):
        yield own


def foreign_pips() -> Iterator[list[str]]:
    """Every pip at hand outside of the environment: this Python's, one on PATH, a wheel that some package left."""
    yield [sys.executable, "-m", "pip"]
    yield from ([found] for name in ("pip3", "pip") if (found := shutil.which(name)))
    yield from ([found, "-m", "pip"] for found in other_pythons())
    for folder in (*PIP_WHEELS, *(str(home / "ensurepip/_bundled") for home in libraries())):
        for wheel in sorted(Path(folder).glob("pip-*.whl"), reverse=True):
            yield [sys.executable, str(wheel / "pip")]  # a wheel is a zip file, and pip runs from one


def other_pythons() -> Iterator[str]:
    """Other Pythons on PATH."""
    names = ("python3", *(f"python3.{minor}" for minor in range(15, 7, -1)))
    yield from (found for name in names if (found := shutil.which(name)) and found != sys.executable)


def libraries() -> Iterator[Path]:
    """Standard libraries of every Python that stands in a usual place."""
    for base in (Path("/usr/lib"), Path("/usr/local/lib"), *sorted(Path.home().glob(".pyenv/versions/*/lib"))):
        yield from sorted(base.glob("python3.*"), reverse=True)


def works(command: list[str]) -> bool:
    """Whether a command ends well (`python -m pip` alone prints its help and does)."""
    quiet = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        return subprocess.run(command, check=False, capture_output=True, env=quiet).returncode == 0
    except OSError:
        return False


def complain(words: str) -> int:
    """Say why it cannot go on."""
    sys.stderr.write(words + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
