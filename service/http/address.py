"""
Where the service listens: from SCORING_HOST and SCORING_PORT to sockets that accept.

The rule: nothing is loaded before the address is ours, and what is wrong with an address is one
line and an exit code of its own.
"""

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

TAKEN, UNUSABLE = 3, 4  # exit codes
_BACKLOG = 2048  # connections that the system holds until they are accepted; uvicorn's own default
_NO_SUCH_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class AddressError(Exception):
    """The service cannot listen there; `code` is what the process then exits with."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Address:
    """One of the addresses that a host name means, with the port."""

    family: socket.AddressFamily
    place: Any
    """As the family has it: IP address, port, and for IPv6 two more numbers."""

    @classmethod
    def of(cls, listener: socket.socket) -> Self:
        """That on which a socket listens."""
        return cls(socket.AddressFamily(listener.family), listener.getsockname())

    @property
    def ip(self) -> str:
        return str(self.place[0])

    @property
    def is_loopback(self) -> bool:
        ip = ipaddress.ip_address(self.ip.partition("%")[0])
        return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback

    @property
    def url(self) -> str:
        host = f"[{self.ip}]" if self.family == socket.AF_INET6 else self.ip
        return f"http://{host}:{self.place[1]}"


def is_published_to_others(published: str) -> bool:
    """Whether a container that is published so, as Docker has it, can be reached from elsewhere.

    "8000" is a port of all addresses; what is no IP address and port counts as reachable.
    """
    try:
        return not ipaddress.ip_address(published.rpartition(":")[0].strip("[]")).is_loopback
    except ValueError:
        return True


def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def resolve(host: str, port: int) -> list[Address]:
    """What a name, an IP address or `[IPv6]` means.   Raises AddressError."""
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host  # as in a URL
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        need = "need an IP address of this machine or a name for one"
        raise AddressError(f"SCORING_HOST: {host!r} is unknown, {need}", UNUSABLE) from error
    return list(dict.fromkeys(Address(family, place) for family, _, _, _, place in found))


def listen(addresses: Sequence[Address]) -> list[socket.socket]:
    """A socket for each; of several, one whose family this machine lacks is left out.

    Raises AddressError.
    """
    with contextlib.ExitStack() as opened:
        sockets = []
        for address in addresses:
            try:
                sockets.append(opened.enter_context(_listen(address)))
            except OSError as error:
                last = address is addresses[-1]
                if error.errno in _NO_SUCH_FAMILY and (sockets or not last):
                    continue
                raise _error(address, error) from error
        opened.pop_all()  # they stay open
    return sockets


def _listen(address: Address) -> socket.socket:
    # By the protocol's name asyncio knows that it may send small packets at once (TCP_NODELAY):
    # else the body of an answer waits 40 ms for the client to acknowledge its head.
    listener = socket.socket(address.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # This allows binding again right after a stop; it does not share a port that is in use.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address.place)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _error(address: Address, error: OSError) -> AddressError:
    port = address.place[1]
    if error.errno == errno.EADDRINUSE:
        return AddressError(
            f"SCORING_PORT: port {port} of {address.ip} is taken by another process", TAKEN
        )
    if error.errno == errno.EACCES:
        return AddressError(f"SCORING_PORT: this user may not listen on port {port}", UNUSABLE)
    return AddressError(f"SCORING_HOST: {address.ip} is no address of this machine", UNUSABLE)
