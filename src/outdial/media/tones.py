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
    """Listens for one steady tone of 350 to 2,100 Hz that lasts: the beep after which a machine records."""

    HELD_FRAMES = 6
    """120 ms."""
    SHARE = 0.85
    """Of the energy, in the strongest frequency and its neighbours."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._peak = -1
        self._held = 0

    @property
    def beeping(self) -> bool:
        """Whether it lasts already."""
        return self._held >= self.HELD_FRAMES

    def feed(self, frame: bytes) -> bool:
        """Whether a beep has just ended: now the machine listens."""
        was = self.beeping
        peak = self._tone(frame) if audioop.rms(frame, 2) >= QUIET_RMS else -1
        steady = peak >= 0 and abs(peak - self._peak) <= 1
        self._held = self._held + 1 if steady else int(peak >= 0)
        self._peak = peak
        return was and not self.beeping

    def _tone(self, frame: bytes) -> int:
        """The index of the one strong frequency (50 Hz each), -1 if there is none."""
        import numpy as np

        samples = np.frombuffer(frame, np.int16).astype(np.float32)
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        power[0] = 0
        peak = int(power.argmax())
        width = self._rate / len(samples)
        if not 350 <= peak * width <= 2100:
            return -1
        near = float(power[max(0, peak - 1) : peak + 2].sum())
        return peak if near >= self.SHARE * float(power.sum()) else -1
