"""A client that speaks HTTP/3 and nothing else, so that an answer cannot have come by TCP."""

import asyncio
import ssl
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import FrameType, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StopSendingReceived, StreamReset
from cryptography.hazmat.primitives.serialization import Encoding

PATIENCE = 10.0
"""Seconds for one answer: HAProxy's own timeouts are shorter."""


@dataclass
class Answer:
    """An answer by HTTP/3."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""


class Http(H3Connection):
    """HTTP/3 that hears of GOAWAY: no request is to be sent on this connection any more."""

    leaving = False

    def _check_control_frame_type(self, frame_type: int) -> None:
        self.leaving = self.leaving or frame_type == FrameType.GOAWAY
        super()._check_control_frame_type(frame_type)


class Client(QuicConnectionProtocol):
    """One connection, on which requests are made one after the other."""

    def __init__(self, *arguments, **more) -> None:
        super().__init__(*arguments, **more)
        self._http = Http(self._quic)
        self._events: dict[int, deque] = {}
        self._waiters: dict[int, asyncio.Future] = {}
        self.ended = ""
        """Why the connection has ended; "" while it is open."""

    def quic_event_received(self, event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.ended = f"{event.error_code:#x} {event.reason_phrase}"
            for waiter in self._waiters.values():
                if not waiter.done():
                    waiter.set_exception(ConnectionResetError(self.ended))
        if (
            isinstance(event, StreamReset | StopSendingReceived)
            and event.stream_id in self._waiters
        ):
            waiter = self._waiters[event.stream_id]
            if not waiter.done():
                waiter.set_exception(ConnectionAbortedError(f"{event.error_code:#x}"))
        for one in self._http.handle_event(event):
            if not isinstance(one, DataReceived | HeadersReceived):
                continue
            self._events.setdefault(one.stream_id, deque()).append(one)
            waiter = self._waiters.get(one.stream_id)
            if one.stream_ended and waiter and not waiter.done():
                waiter.set_result(None)

    def certificate(self) -> bytes:
        """Return what HAProxy showed in the handshake, in DER."""
        return self._quic.tls._peer_certificate.public_bytes(Encoding.DER)

    @property
    def is_leaving(self) -> bool:
        """Tell whether HAProxy has said that no more requests are to come on this connection."""
        return self._http.leaving

    async def ask(self, host: str, path: str = "/", method: str = "GET", body=b"", **headers):
        """Return the answer to a request; raises TimeoutError or ConnectionError."""
        if self.ended:
            raise ConnectionResetError(self.ended)
        stream = self._quic.get_next_available_stream_id()
        pseudo = {":method": method, ":scheme": "https", ":authority": host, ":path": path}
        rows = [(k.encode(), v.encode()) for k, v in (pseudo | headers).items()]
        self._http.send_headers(stream, rows, end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        waiter = self._waiters[stream] = asyncio.get_running_loop().create_future()
        self.transmit()
        await asyncio.wait_for(waiter, PATIENCE)
        answer = Answer()
        for one in self._events.pop(stream):
            if isinstance(one, DataReceived):
                answer.text += one.data.decode()
            else:
                answer.headers |= {k.decode(): v.decode() for k, v in one.headers}
        answer.status = int(answer.headers.pop(":status"))
        return answer


@asynccontextmanager
async def connection(port: int, name: str, client: Path | None = None, where: str = "127.0.0.1"):
    """Connect for a name; nothing of the certificate is verified, `client` is shown."""
    configuration = QuicConfiguration(
        alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE, server_name=name, idle_timeout=PATIENCE
    )
    if client:
        configuration.load_cert_chain(client)
    made = connect(where, port, configuration=configuration, create_protocol=Client)
    async with made as one:
        yield one


def ask(port: int, name: str, host: str, path: str = "/", client: Path | None = None, **more):
    """Return the answer to one request on a connection for *name*, and the certificate."""

    async def once():
        async with connection(port, name, client) as one:
            return await one.ask(host, path, **more), one.certificate()

    return asyncio.run(asyncio.wait_for(once(), 2 * PATIENCE))
