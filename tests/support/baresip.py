"""Debian's baresip as a phone: it answers by itself, plays a tone, and writes down what it hears."""

import math
import re
import struct
import subprocess
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import peers
from tests.support.ports import free_port

TONE_HERTZ = 440
RATES = {"g722": 16_000, "opus": 48_000}
"""Where they differ from 8,000."""
NUMBER = "+493012345678"

CONFIG = """\
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
audio_player aubridge,nobody
snd_path {home}
audio_source aufile,{tone}
audio_alert aufile,/dev/null
audio_txmode poll
rtp_ports {low}-{high}
module_path {modules}
module stdio.so
module g711.so
module g722.so
module opus.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp account.so
module_app menu.so
call_max_calls 10
"""


@dataclass
class Phone:
    """One running phone."""

    address: str
    home: Path
    log: Path
    process: subprocess.Popen[bytes]

    def press(self, keys: str) -> None:
        """Press these keys, one after the other, as a person does."""
        assert self.process.stdin is not None
        for key in keys:
            self.process.stdin.write(key.encode())
            self.process.stdin.flush()
            time.sleep(0.3)

    @property
    def pressed(self) -> str:
        """Keys that it got, each once it was let go."""
        return "".join(re.findall(r"received event: '(.)' \(end=1\)", self.log.read_text(errors="replace")))

    @property
    def heard(self) -> Path:
        """WAV of what it heard; complete once the call is over."""
        (path,) = self.home.glob("dump-*-dec.wav")
        return path


@contextmanager
def phone(folder: Path, *, codecs: str = "pcmu", encryption: str = "") -> Iterator[Phone]:
    """A phone on a port of its own."""
    program = peers.program("baresip")
    home = folder / "phone"
    home.mkdir()
    port = free_port()
    tone, log = home / "tone.wav", home / "log"
    write_tone(tone, rate=RATES.get(codecs.partition("/")[0], 8_000))
    low = 40_000 + port % 5_000 * 4
    config = CONFIG.format(port=port, home=home, tone=tone, low=low, high=low + 40, modules=peers.modules("baresip"))
    (home / "config").write_text(config)
    account = f"<sip:{NUMBER}@127.0.0.1:{port}>;regint=0;answermode=auto;audio_codecs={codecs};auth_pass=x"
    (home / "accounts").write_text(account + (f";mediaenc={encryption}" if encryption else "") + "\n")
    (home / "contacts").write_text("")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, "-4", "-f", str(home), "-v"], stdin=subprocess.PIPE, stdout=out, stderr=out
        )
    try:
        until = time.monotonic() + 10
        while f":{port:04X} " not in Path("/proc/net/udp").read_text():
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < until, log.read_text(errors="replace")
            time.sleep(0.02)
        yield Phone(f"127.0.0.1:{port}", home, log, process)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def write_tone(path: Path, *, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        channels = 2 if rate == RATES["opus"] else 1
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = (int(10_000 * math.sin(2 * math.pi * TONE_HERTZ * n / rate)) for n in range(rate * 20))
        file.writeframes(b"".join(struct.pack("<h", sample) * channels for sample in samples))
