"""Tones in audio: keys pressed in band (DTMF, ITU-T Q.23/Q.24) and the beep of an answering machine."""

import audioop
from typing import Any

LOW = (697, 770, 852, 941)
HIGH = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
QUIET_RMS = 200
"""Below this a frame holds no tone that anybody meant."""
_TWIST = 6.0
"""How much stronger one of the two tones may be (8 dB)."""
_SHARE = 0.7
"""How much of all the energy the two tones must hold: speech has more in between."""
_HELD_FRAMES = 2
"""A key is one that is held for 40 ms."""


class KeyDetector:
    """Listens for keys, frame by frame."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._filters: dict[int, Any] = {}
        self._last: str | None = None
        self._held = 0

    def feed(self, frame: bytes) -> str | None:
        """A key, once for each time it is pressed: when it has been held long enough."""
        digit = self._digit(frame) if audioop.rms(frame, 2) >= QUIET_RMS else None
        if digit != self._last:
            self._last, self._held = digit, 0
        self._held += 1
        return digit if digit is not None and self._held == _HELD_FRAMES else None

    def _digit(self, frame: bytes) -> str | None:
        import numpy as np

        samples = np.frombuffer(frame, np.int16).astype(np.float32)
        spectrum = np.abs(self._filter(len(samples)) @ samples) ** 2
        low, high = int(spectrum[:4].argmax()), int(spectrum[4:].argmax())
        one, two = float(spectrum[low]), float(spectrum[4 + high])
        if min(one, two) * _TWIST < max(one, two):
            return None
        # a sine of amplitude a has energy a²/2 · n, and a²/4 · n² at its own frequency
        share = 2 * (one + two) / (len(samples) * float(samples @ samples))
        return KEYS[low][high] if share >= _SHARE else None

    def _filter(self, size: int) -> Any:  # noqa: ANN401 - numpy's, which need not be installed
        import numpy as np

        if size not in self._filters:
            at = np.arange(size) / self._rate
            made = [np.exp(-2j * np.pi * frequency * at) for frequency in (*LOW, *HIGH)]
            self._filters = {size: np.array(made, np.complex64)}
        return self._filters[size]


class BeepDetector:
    """Listens for one steady tone of 350 to 2,100 Hz that lasts: the beep after which a machine records.

    A voice that holds a vowel may put as much of its energy into one frequency, but not for 120 ms at the same one.
    """

    HELD_FRAMES = 6
    """120 ms."""
    SHARE = 0.85
    """Of the energy, in the strongest frequency and its neighbours."""
    DRIFT = 0.02
    """How far from the first frame's frequency the others may be, as a share of it: a voice drifts more."""
    HERTZ = (350, 2_100)
    RINGING = (500, 45)
    """Below this frequency, longer than this many frames: a ringing tone (425 Hz for 1 s), from behind who answered."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._window: Any = None
        """Of the size of a frame, made with the first one."""
        self._hertz = 0.0
        """Of the tone's first frame."""
        self._held = 0

    @property
    def beeping(self) -> bool:
        """Whether it lasts already."""
        return self._held >= self.HELD_FRAMES

    def feed(self, frame: bytes) -> bool:
        """Whether a beep has just ended: now the machine listens."""
        was = self.beeping and not (self._hertz < self.RINGING[0] and self._held > self.RINGING[1])
        hertz = self._tone(frame) if audioop.rms(frame, 2) >= QUIET_RMS else 0.0
        if hertz and abs(hertz - self._hertz) <= self.DRIFT * self._hertz:
            self._held += 1
        else:
            self._hertz, self._held = hertz, int(hertz > 0)
        return was and not self.beeping

    def _tone(self, frame: bytes) -> float:
        """The one strong frequency, 0 if there is none."""
        import numpy as np

        samples = np.frombuffer(frame, np.int16)
        if self._window is None or len(self._window) != len(samples):
            self._window = np.hanning(len(samples))
        spectrum = np.fft.rfft(samples * self._window)
        power = spectrum.real**2 + spectrum.imag**2
        power[0] = 0
        peak = int(power.argmax())
        width = self._rate / len(samples)
        if not self.HERTZ[0] <= peak * width <= self.HERTZ[1]:
            return 0.0
        below, top, above = power[peak - 1 : peak + 2]
        if below + top + above < self.SHARE * power.sum():
            return 0.0
        # between the lines: the top of a parabola through the three levels
        low, mid, high = np.log((below + 1, top + 1, above + 1))
        return width * float(peak + 0.5 * (low - high) / (low - 2 * mid + high))
