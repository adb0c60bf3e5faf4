"""The far end that measures: a process that answers calls, plays a tone to each, and notes when every packet came.

The moments are the kernel's (SO_TIMESTAMPNS), so they stay right where this process has to wait for a processor. It
judges nothing: what it noted goes to its standard output, as msgpack, once its standard input ends.
"""

import array
import gc
import heapq
import os
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from outdial.lab.bench.sip.packets import FarEnd, Noted
from outdial.lab.carrier.sip import sdp
from outdial.lab.carrier.sip.message import Asked, answer, read

HOST = "127.0.0.1"
RING_SECS = (0.1, 0.3)
"""Phones ring for so long, by chance."""
SLOTS = 4
"""Calls are spoken to in turn, a quarter of them every 5 ms."""
FRAME_NS = 20_000_000
SLOT_NS = FRAME_NS // SLOTS
BUFFER = 4 * 1024 * 1024
TONE = (bytes([0x90]) * 20 + bytes([0x10]) * 20) * 4
"""200 Hz, loud, in µ-law, 20 ms of it: no wave of it is a telephone key's."""
QUIET = bytes(code for code in range(256) if ~code & 0x7F < 0x20)
"""µ-law of samples up to ±372; a packet of these alone is silence."""
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the module socket has no name for it
_TIMESPEC = struct.Struct("@ll")
_RTP = struct.Struct("!BBHII")
_PCMU = 0
_Address = tuple[str, int]


@dataclass(eq=False, slots=True)
class _Phone:
    """The audio of one call."""

    noted: Noted
    socket: socket.socket
    goes_to: _Address
    sent: int = 0
    came: "array.array[int]" = field(default_factory=lambda: array.array("q"))
    seqs: "array.array[int]" = field(default_factory=lambda: array.array("H"))
    voiced: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes, at: int) -> None:
        """A packet came; keys and comfort noise are none."""
        _, kind, seq, _, _ = _RTP.unpack_from(data)
        if kind & 0x7F == _PCMU:
            self.came.append(at)
            self.seqs.append(seq)
            self.voiced.append(bool(data[_RTP.size :].translate(None, QUIET)))

    def speak(self) -> None:
        """Send the next packet."""
        head = _RTP.pack(0x80, _PCMU, self.sent & 0xFFFF, (self.sent * 160) & 0xFFFFFFFF, 1)
        self.sent += 1
        self.socket.sendto(head + TONE, self.goes_to)

    def told(self) -> Noted:
        """All that was noted."""
        self.noted.came, self.noted.seqs = self.came.tolist(), self.seqs.tolist()
        self.noted.voiced = [bool(one) for one in self.voiced]
        return self.noted


class Far:
    """One loop over all sockets."""

    def __init__(self) -> None:
        self._chance = random.Random(1)  # noqa: S311 - the same rings in every run
        self._sip = _socket()
        self._poll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._calls: dict[str, Noted] = {}
        self._phones: dict[str, _Phone] = {}
        """Those that are up."""
        self._all: list[_Phone] = []
        self._slots: list[list[_Phone]] = [[] for _ in range(SLOTS)]
        self._slot = 0
        self._slot_at = time.monotonic_ns()
        self._ringing: list[tuple[int, str, Asked, _Address]] = []
        """When to answer, the Call-ID, its INVITE and who sent it; a heap."""
        self._ahead_ns = 0
        """The clock of the kernel's moments before the monotonic one: looked at all the time, for it may be set."""
        self._sent = self._sent_late = 0
        self._over = False

    @property
    def port(self) -> int:
        """Where INVITEs are answered."""
        return int(self._sip.getsockname()[1])

    def run(self, stdin: int) -> FarEnd:
        """Until standard input ends."""
        self._watch(self._sip.fileno(), self._signalling)
        self._watch(stdin, lambda: self._end(stdin))
        while not self._over:
            ready = self._poll.poll(max(0, self._slot_at - time.monotonic_ns()) / 1e9)
            self._ahead_ns = time.time_ns() - time.monotonic_ns()
            for number, _ in ready:
                if (reader := self._readers.get(number)) is not None:
                    reader()
            self._speak()
            self._answer()
        return FarEnd([phone.told() for phone in self._all], self._sent, self._sent_late)

    def _watch(self, number: int, reader: Callable[[], None]) -> None:
        self._readers[number] = reader
        self._poll.register(number, select.EPOLLIN)

    def _end(self, stdin: int) -> None:
        self._over = not os.read(stdin, 1024)

    # --- audio

    def _speak(self) -> None:
        while self._slot_at <= (now := time.monotonic_ns()):
            phones = self._slots[self._slot]
            for phone in phones:
                phone.speak()
            self._sent += len(phones)
            self._sent_late += len(phones) if now - self._slot_at > FRAME_NS else 0
            self._slot = (self._slot + 1) % SLOTS
            self._slot_at += SLOT_NS

    def _hear(self, phone: _Phone) -> None:
        for data, at, _ in self._packets(phone.socket):
            phone.take(data, at)

    def _packets(self, from_: socket.socket) -> list[tuple[bytes, int, _Address]]:
        """All that wait: what, since when, from whom."""
        packets: list[tuple[bytes, int, _Address]] = []
        while True:
            try:
                data, ((_, _, stamp),), _, sender = from_.recvmsg(4096, 64)
            except BlockingIOError:
                return packets
            seconds, nanoseconds = _TIMESPEC.unpack(stamp)
            packets.append((data, seconds * 1_000_000_000 + nanoseconds - self._ahead_ns, sender))

    # --- signalling

    def _signalling(self) -> None:
        for data, at, sender in self._packets(self._sip):
            asked = read(data)
            if isinstance(asked, Asked):
                self._asked(asked, at, sender)

    def _asked(self, asked: Asked, at: int, sender: _Address) -> None:
        match asked.method:
            case "INVITE" if asked.call_id not in self._calls:
                self._calls[asked.call_id] = Noted(asked.call_id)
                self._reply(asked, 180, "Ringing", sender)
                answer_at = time.monotonic_ns() + round(self._chance.uniform(*RING_SECS) * 1e9)
                heapq.heappush(self._ringing, (answer_at, asked.call_id, asked, sender))
            case "ACK" if asked.call_id in self._calls:
                noted = self._calls[asked.call_id]
                noted.acked_at = noted.acked_at or at
            case "BYE":
                self._reply(asked, 200, "OK", sender)
                self._hung_up(asked.call_id, at)

    def _answer(self) -> None:
        while self._ringing and self._ringing[0][0] <= time.monotonic_ns():
            _, call_id, asked, sender = heapq.heappop(self._ringing)
            offer = sdp.read(asked.message.body)
            phone = _Phone(self._calls[call_id], _socket(), offer.place)
            self._slots[len(self._all) % SLOTS].append(phone)
            self._phones[call_id] = phone
            self._all.append(phone)
            self._watch(phone.socket.fileno(), partial(self._hear, phone))
            port = phone.socket.getsockname()[1]
            self._reply(asked, 200, "OK", sender, sdp.write(HOST, port, replace(offer, type=_PCMU, codec="PCMU")))

    def _hung_up(self, call_id: str, at: int) -> None:
        phone = self._phones.pop(call_id, None)
        if phone is None:
            return  # repeated
        phone.noted.ended_at = at
        self._hear(phone)
        del self._readers[phone.socket.fileno()]
        for slot in self._slots:
            if phone in slot:
                slot.remove(phone)
        phone.socket.close()

    def _reply(self, asked: Asked, code: int, phrase: str, sender: _Address, body: bytes = b"") -> None:
        headers = [("Contact", f"<sip:{HOST}:{self.port}>")] + [("Content-Type", "application/sdp")] * bool(body)
        self._sip.sendto(answer(asked.message, code, phrase, tag="far", headers=headers, body=body), sender)


def _socket() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    opened.bind((HOST, 0))
    return opened


def main() -> None:
    """Say the port, serve, tell."""
    far = Far()
    gc.disable()  # whatever it makes is kept to the end
    sys.stdout.write(f"{far.port}\n")
    sys.stdout.flush()
    noted = far.run(sys.stdin.fileno())
    sys.stdout.buffer.write(msgspec.msgpack.encode(noted))
    sys.stdout.buffer.flush()
