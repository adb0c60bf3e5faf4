"""An audio device of our own in the SIP stack: what the agent says goes straight to the stack's sender.

The stack's own device for programs (`aumem`) reads its first frame before anybody is told that the call is up, so that
every call began with 20 ms of silence. It also costs each call two threads, one to read and one to play to nobody,
which the SIP thread waits for at the end, one after the other, for 30 ms.

This one is registered over the stack's C interface for audio devices, which its shared object exports: functions that
the stack calls on its SIP thread, when a call's audio begins and when it ends, and one of the stack's that we call with
every frame. What comes is not its business: it is taken before it would be played, and a player that takes nothing is
enough.
"""

import ctypes
import errno
import threading
from collections.abc import Callable
from typing import Any

from baresip import _native

from outdial.runtime.log import get_logger

log = get_logger()
NAME = "outdial"
PARAMETERS = (f"audio_source={NAME},default", f"audio_player={NAME},default")
"""Of an account of the stack: its calls use this device."""
_NAME = NAME.encode()
"""Kept: the stack keeps a pointer to it."""
_S16LE = 0
_FRAME_SIZE = 128
"""Bytes for the stack's `struct auframe`, of which it fills about half itself."""


class _Wanted(ctypes.Structure):
    """`struct ausrc_prm`: what the stack wants to be given."""

    _fields_ = (
        ("srate", ctypes.c_uint32),
        ("channels", ctypes.c_uint8),
        ("ptime", ctypes.c_uint32),
        ("format", ctypes.c_int),
        ("duration", ctypes.c_size_t),
    )


_Begin = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p, ctypes.POINTER(_Wanted), ctypes.c_char_p,
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
)  # fmt: skip
_BeginPlay = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p,
    ctypes.c_void_p,
)  # fmt: skip
_End = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Take = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_Match = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)
_Each = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


def _stack() -> Any:  # noqa: ANN401 - functions of a shared object
    """The functions that we use, all of which are over in no time: the interpreter is not let go of meanwhile."""
    stack = ctypes.PyDLL(_native.__file__)
    pointer = ctypes.c_void_p
    for name, result, arguments in (
        ("ausrc_register", ctypes.c_int, (ctypes.POINTER(pointer), pointer, ctypes.c_char_p, _Begin)),
        ("baresip_ausrcl", pointer, ()),
        ("auplay_register", ctypes.c_int, (ctypes.POINTER(pointer), pointer, ctypes.c_char_p, _BeginPlay)),
        ("baresip_auplayl", pointer, ()),
        ("mem_zalloc", pointer, (ctypes.c_size_t, _End)),
        ("mem_deref", pointer, (pointer,)),
        ("auframe_init", None,
         (pointer, ctypes.c_int, pointer, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint8)),
        ("uag_filter_calls", None, (_Each, _Match, pointer)),
        ("call_audio", pointer, (pointer,)),
        ("call_id", ctypes.c_char_p, (pointer,)),
        ("audio_strm", pointer, (pointer,)),
        ("stream_metric_get_tx_n_packets", ctypes.c_uint32, (pointer,)),
    ):  # fmt: skip
        function = getattr(stack, name)
        function.restype, function.argtypes = result, arguments
    return stack


class Source:
    """The audio of one call on its way to the stack, from when its stream was opened until it is closed."""

    def __init__(self, stack: Any, wanted: _Wanted, take: Callable[[Any, int], None], audio: int) -> None:  # noqa: ANN401
        self._stack = stack
        self._take = take
        self._audio = audio
        self._lock = threading.Lock()
        """Held while the stack's memory is in use: the SIP thread waits for it before that memory is freed."""
        self._open = True
        self.rate = int(wanted.srate)
        self.channels = int(wanted.channels)
        self.frame_secs = wanted.ptime / 1000
        samples = self.rate * wanted.ptime // 1000 * self.channels
        self.frame = 2 * samples
        """Bytes of what is sent in one packet."""
        self._samples = (ctypes.c_uint8 * self.frame)()
        self._frame = (ctypes.c_uint8 * _FRAME_SIZE)()
        stack.auframe_init(self._frame, _S16LE, self._samples, samples, self.rate, self.channels)
        self._sent_before = self._packets()

    @property
    def open(self) -> bool:
        """Whether the stack still takes anything."""
        return self._open

    def feed(self, pcm: bytes) -> None:
        """Hand one whole frame over; it is sent in its turn. Nothing happens once the stream is closed."""
        with self._lock:
            if self._open:
                ctypes.memmove(self._samples, pcm, self.frame)
                self._take(self._frame, self._audio)

    @property
    def begun(self) -> bool:
        """Whether anything has been sent."""
        with self._lock:
            return not self._open or self._packets() != self._sent_before

    def close(self) -> None:
        """The stack is about to free what this is made of."""
        with self._lock:
            self._open = False

    def _packets(self) -> int:
        return int(self._stack.stream_metric_get_tx_n_packets(self._stack.audio_strm(self._audio)))


class Device:
    """The device, as the stack knows it, and what was opened on it. One for each life of a stack."""

    def __init__(self, began: Callable[[str], None]) -> None:
        """Make it; `began` is told on the SIP thread, by Call-ID, of each call whose audio begins."""
        self._stack = _stack()
        self._began = began
        self._registered = (ctypes.c_void_p(), ctypes.c_void_p())
        self._by_call: dict[str, Source] = {}
        """By SIP Call-ID."""
        self._by_state: dict[int, tuple[str, Source]] = {}
        """By the address that the stack knows them by."""
        self._callbacks = (_Begin(self._begin), _End(self._end), _BeginPlay(self._begin_play))
        _kept.append(self._callbacks)

    def register(self) -> None:
        """Offer the device; before the first call of a stack that runs."""
        begin, _, begin_play = self._callbacks
        source, player = (ctypes.byref(one) for one in self._registered)
        stack = self._stack
        error = stack.ausrc_register(source, stack.baresip_ausrcl(), _NAME, begin)
        error = error or stack.auplay_register(player, stack.baresip_auplayl(), _NAME, begin_play)
        if error:
            raise OSError(error, "the stack takes no audio device")

    def unregister(self) -> None:
        """The stack has ended."""
        for one in self._registered:
            one.value = self._stack.mem_deref(one)

    def of(self, call_id: str) -> Source | None:
        """The source of a call; None while it has no audio that goes out."""
        source = self._by_call.get(call_id)
        return source if source is not None and source.open else None

    # --- on the SIP thread

    def _begin(
        self,
        state: Any,  # noqa: ANN401 - of ctypes
        _source: int,
        wanted: Any,  # noqa: ANN401 - of ctypes
        _device: bytes,
        take: int,
        _error: int,
        audio: int,
    ) -> int:
        """Audio of a call begins: the stack's `ausrc_alloc_h`."""
        try:
            call_id = self._call_id(audio)
            if not call_id or wanted[0].format != _S16LE or not wanted[0].srate or not wanted[0].ptime:
                return errno.EINVAL
            address = self._stack.mem_zalloc(1, self._callbacks[1])
            if not address:
                return errno.ENOMEM
            source = Source(self._stack, wanted[0], _Take(take), audio)
            self._by_state[address] = call_id, source
            self._by_call[call_id] = source
            state[0] = address
            self._began(call_id)
        except Exception:  # nothing may be raised into C; there, the call ends for want of audio
            log.exception("audio of a call could not begin")
            return errno.EINVAL
        return 0

    def _end(self, address: int) -> None:
        """Audio of a call ends: the destructor of what `_begin` made."""
        call_id, source = self._by_state.pop(address, ("", None))
        if source is not None:
            source.close()
            if self._by_call.get(call_id) is source:
                del self._by_call[call_id]

    def _begin_play(
        self,
        state: Any,  # noqa: ANN401 - of ctypes
        _player: int,
        _wanted: int,
        _device: bytes,
        _give: int,
        _receiver: int,
    ) -> int:
        """What comes would be played: the stack's `auplay_alloc_h`."""
        state[0] = self._stack.mem_zalloc(1, _End())
        return 0 if state[0] else errno.ENOMEM

    def _call_id(self, audio: int) -> str:
        found: list[bytes] = []
        each = _Each(lambda call, _: found.append(self._stack.call_id(call)))
        match = _Match(lambda call, _: self._stack.call_audio(call) == audio)
        self._stack.uag_filter_calls(each, match, None)
        return found[0].decode(errors="replace") if found else ""


_kept: list[object] = []
"""What C code has pointers to must live as long as the process."""
