"""HTTP by the standard library, with bounds on an answer's time and length, and no server but the one asked."""

import http.client
import io
import socket
import time
import urllib.request
from collections.abc import Mapping
from functools import partial
from typing import Any

from .errors import ServerError


class Request(urllib.request.Request):
    """A request that knows how long its answer may be.

    Args:
        url: Where to.
        data: What to POST; None to GET.
        headers: Sent with it.
        longest: The most bytes of an answer, the headers included.
    """

    def __init__(self, url: str, data: bytes | None, headers: Mapping[str, str], longest: int) -> None:
        super().__init__(url, data, dict(headers))
        self.longest = longest


def opener() -> urllib.request.OpenerDirector:
    """Opens `http://` and `https://` addresses; a redirection is an error as any other status is.

    `urllib.request.build_opener` would follow redirections with all headers, to other hosts and by FTP too.
    """
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HttpInTime(),
        _HttpsInTime(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        made.add_handler(handler)
    return made


class _InTime:
    """Makes the time-out that of the whole answer: alone it is that of each piece, and a server may drip."""

    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> http.client.HTTPResponse:
        seconds: float = req.timeout  # type: ignore[assignment]  # given to every request
        longest: int = req.longest  # type: ignore[attr-defined]  # all requests are ours
        deadline = time.monotonic() + seconds

        def connection(host: str, **more: Any) -> http.client.HTTPConnection:
            made: http.client.HTTPConnection = http_class(host, **more)
            made.response_class = partial(  # type: ignore[assignment]
                _ResponseInTime, deadline=deadline, longest=longest
            )
            return made

        response: http.client.HTTPResponse = super().do_open(connection, req, **options)  # type: ignore[misc]
        return response


class _HttpInTime(_InTime, urllib.request.HTTPHandler):
    pass


class _HttpsInTime(_InTime, urllib.request.HTTPSHandler):
    pass


class _ResponseInTime(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, deadline: float, longest: int, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_BoundedStream(sock, self.fp.detach(), deadline, longest))


class _BoundedStream(io.RawIOBase):
    """What a socket receives until a deadline, and no more than so many bytes, whatever length the answer declares."""

    def __init__(self, sock: socket.socket, stream: io.RawIOBase, deadline: float, longest: int) -> None:
        self._socket, self._stream, self._deadline = sock, stream, deadline
        self._longest = self._room = longest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        count = self._stream.readinto(buffer)
        self._room -= count or 0
        if self._room < 0:
            raise ServerError(
                f"Expected an answer of at most {self._longest} bytes. Received a longer one: raise max_message_bytes "
                "if the server is to be trusted."
            )
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
