"""The HTTP server: uvicorn, with limits on how long and how many connections may do nothing."""

import contextlib
import ipaddress
import logging
import signal
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lodge.serving.errors import InputError

SECONDS_FOR_HEAD = 10
SECONDS_BETWEEN_REQUESTS = 30
SECONDS_TO_TAKE = 60
SECONDS_TO_FINISH = 30
LONGEST_HEAD = 16 << 10
MOST_CONNECTIONS = 128


class Protocol(H11Protocol):
    """A connection whose requests must begin and come in time."""

    head_timer = None

    def connection_made(self, transport):
        super().connection_made(transport)
        # A reader that takes nothing for so long has left, whatever waits for it.
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * SECONDS_TO_TAKE)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self.limit_head()

    def data_received(self, data):
        super().data_received(data)
        self.limit_head()

    def connection_lost(self, error):
        self.stop_timer()
        super().connection_lost(error)

    def limit_head(self):
        if self.cycle is not None and not self.cycle.response_complete:
            self.stop_timer()
        elif self.head_timer is None:
            self.head_timer = self.loop.call_later(SECONDS_FOR_HEAD, self.transport.abort)

    def stop_timer(self):
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None


def listening_socket(address, may_be_seen):
    """A socket for HOST:PORT; beyond this machine only where that was asked for."""
    host, separator, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    host = "127.0.0.1" if host == "localhost" else host
    try:
        ip = ipaddress.ip_address(host)
        number = int(port) if port.isdecimal() and separator else -1
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise InputError(f"--listen {address}: is no ADDRESS:PORT", "such as 127.0.0.1:8080 or [::1]:8080")
    if not ip.is_loopback and not may_be_seen:
        raise InputError(
            f"--listen {address}: prompts, answers and the key would cross the network in the clear",
            "listen on 127.0.0.1 and put a proxy with TLS in front (with --allow-host), or give "
            "--insecure-listen")
    family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ip.version == 6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((str(ip), number))
        listener.listen(MOST_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise InputError(f"--listen {address}: {error.strerror}") from None
    return listener


class Server(uvicorn.Server):
    """One that waits for `finish` when it has ended."""

    def __init__(self, config, finish):
        super().__init__(config)
        self.finish = finish

    async def shutdown(self, sockets=None):
        await super().shutdown(sockets)
        await self.finish()


def serve(app, listener, finish):
    """Serves until SIGINT or SIGTERM; answers that have begun get some time to end, then `finish`."""
    # Tracebacks and request lines may hold content: the guard logs what is logged.
    logging.disable(logging.CRITICAL)
    config = uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", loop="asyncio", log_config=None,
        access_log=False, proxy_headers=False, server_header=False, h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_keep_alive=SECONDS_BETWEEN_REQUESTS, timeout_graceful_shutdown=SECONDS_TO_FINISH)
    # uvicorn raises the signal again that ended it; to be asked to end is no failure. Who started this
    # may have blocked them.
    ends = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
    for number in ends:
        signal.signal(number, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        Server(config, finish).run(sockets=[listener])
