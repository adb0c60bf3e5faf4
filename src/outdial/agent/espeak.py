"""The voice process: espeak-ng behind two pipes. It is GPL, so it never shares a process with the rest.

Requests come on standard input, speech leaves on standard output, both as length-prefixed msgpack, one at a time.

    python -m outdial.agent.espeak
"""

import ctypes
import signal
import struct
import sys
from typing import Any

import msgspec

from outdial.media.resample import resampled

LENGTH = struct.Struct(">I")
QUIET = 300
"""Samples below this before the first word are left out: nobody wants to wait for them."""
NAMED_OTHERWISE = {"zh": "cmn", "no": "nb"}
"""Languages as the wires name them, and as espeak-ng does; unknown to it, Chinese would be spelled in English."""
_PLAY_NOTHING = 2  # AUDIO_OUTPUT_SYNCHRONOUS: hand the samples over, in this thread
_UTF8 = 1  # espeakCHARS_UTF8


class Wish(msgspec.Struct, array_like=True):
    """One text to be spoken."""

    text: str
    language: str
    rate: int


class Speech(msgspec.Struct, array_like=True):
    """What became of it: 16-bit mono at the rate that was wished for, or why not."""

    pcm: bytes
    error: str = ""


class Espeak:
    """The library, loaded from a wheel."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lib: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        self._said = bytearray()
        sink = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._sink = sink(self._take)  # kept: the library keeps no reference of its own
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self._rate = int(self._lib.espeak_Initialize(_PLAY_NOTHING, 0, espeakng_loader.get_data_path().encode(), 0))
        if self._rate <= 0:
            raise RuntimeError("espeak-ng could not be initialised")
        self._lib.espeak_SetSynthCallback(self._sink)
        self._language = ""

    def say(self, wish: Wish) -> Speech:
        """Speak one text."""
        self._choose(wish.language)
        self._said.clear()
        text = wish.text.replace("\0", " ").encode() + b"\0"
        if self._lib.espeak_Synth(text, len(text), 0, 1, 0, _UTF8, None, None) != 0:
            return Speech(b"", "espeak-ng could not speak it")
        self._lib.espeak_Synchronize()
        return Speech(resampled(from_first_word(bytes(self._said)), self._rate, wish.rate))

    def _choose(self, language: str) -> None:
        """The voice of a language, `pt-br` or else `pt`; English where it is not known."""
        if language == self._language:
            return
        family = language.partition("-")[0]
        for name in (language, NAMED_OTHERWISE.get(family, family), "en"):
            if self._lib.espeak_SetVoiceByName(name.encode()) == 0:
                break
        self._language = language

    def _take(self, samples: Any, count: int, _events: Any) -> int:  # noqa: ANN401 - of ctypes
        if samples and count > 0:
            self._said += ctypes.string_at(samples, count * 2)
        return 0


def from_first_word(pcm: bytes) -> bytes:
    """Without the silence at its beginning."""
    samples = memoryview(pcm).cast("h")
    first = next((n for n, sample in enumerate(samples) if abs(sample) > QUIET), 0)
    return pcm[2 * first :]


def main() -> int:
    """Speak until standard input ends. Signals to the whole group, as of Ctrl-C, are not for us: calls go on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    espeak = Espeak()
    requests = msgspec.msgpack.Decoder(Wish)
    reader, writer = sys.stdin.buffer, sys.stdout.buffer
    while len(head := reader.read(LENGTH.size)) == LENGTH.size:
        wish = requests.decode(reader.read(*LENGTH.unpack(head)))
        answer = msgspec.msgpack.encode(espeak.say(wish))
        writer.write(LENGTH.pack(len(answer)) + answer)
        writer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
