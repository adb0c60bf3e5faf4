"""uvicorn's HTTP/1.1, which also hears requests that offer to speak another protocol.

Java's client offers HTTP/2 with each request in the clear (`Connection: Upgrade`). A server may pass over an offer and
answer as if it had not been made (RFC 9110 7.8). The parser however takes every offer for accepted and stops behind the
head, so uvicorn (0.54, its issue 2722) answers such a POST as if it had no body, and takes its body for a request.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class HttpProtocol(HttpToolsProtocol):
    """As its parent, but an offer that is not taken up is passed over: the request goes on behind its head."""

    def data_received(self, data: bytes) -> None:
        while data:
            data = self._read(data)

    def on_headers_complete(self) -> None:
        if not self._passed_over():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._passed_over():
            super().on_message_complete()

    def _passed_over(self) -> bool:
        """Whether the head just read makes an offer that is not for us; CONNECT, which has no body, is the parent's."""
        return self.parser.should_upgrade() and not self._should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _read(self, data: bytes) -> bytes:
        """Read this; what is still to be read: it begins with a head that makes no offer."""
        try:
            self._unset_keepalive_if_required()
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if not self._passed_over():
                return self._taken_up()
            head = self._framing()
            self.parser = httptools.HttpRequestParser(_Resumed(self))
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as the parent's
            return head + data[offer.args[0] :]
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        return b""

    def _taken_up(self) -> bytes:
        if self._should_upgrade():
            self.handle_websocket_upgrade()
        return b""

    def _framing(self) -> bytes:
        """A head that says of the request's body and of the connection what the one that was read said."""
        connection = {
            word.strip().lower() for name, value in self.headers if name == b"connection" for word in value.split(b",")
        }
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" / HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name in _FRAMING]
        lines += [b"connection: " + word for word in sorted(connection & {b"close", b"keep-alive"})]
        return b"\r\n".join([*lines, b"", b""])


class _Resumed:
    """Hears the parser for a connection: of its first request only the body, since the head is known."""

    def __init__(self, protocol: HttpProtocol) -> None:
        self._protocol = protocol
        self._known = True
        self.on_headers_complete = protocol.on_headers_complete
        self.on_body = protocol.on_body

    def on_message_begin(self) -> None:
        if not self._known:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._known:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._known:
            self._protocol.on_header(name, value)

    def on_message_complete(self) -> None:
        # an offer in a later head ends its message too, before the body: then this is replaced
        self._known = False
        self._protocol.on_message_complete()
