"""How does a thread look into another network namespace?

``setns(2)`` moves one thread.  A socket opened while inside stays there for its whole life, so a capture or an
announcement needs no process of its own in the namespace.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_ETH_P_ARP: Final = 0x0806
_BROADCAST: Final = b"\xff" * 6


def enter(fd: int) -> None:
    """Move the calling thread into the network namespace that ``fd`` refers to (setns(2)).

    :raises OSError: if the kernel refuses.
    """
    if _LIBC.setns(fd, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """Run the block in the network namespace of process ``pid``; only the calling thread moves.

    :raises OSError: if the process is gone.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(home)


def inode(pid: int | str) -> int:
    """The inode number of a process's network namespace.

    :raises OSError: if the process is gone.
    """
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


def end_all(pid: int) -> None:
    """End whatever runs in a process's network namespace besides it, as if the machine's power were cut."""
    home = inode(pid)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != pid:
            with suppress(OSError):
                if inode(entry.name) == home:
                    os.kill(int(entry.name), signal.SIGKILL)


def announce(pid: int, interface: str, address: str) -> None:
    """Send a gratuitous ARP request (RFC 5227 §3) for ``address`` from ``interface`` in a process's namespace.

    :raises OSError: if the interface is missing or down.
    """
    with inside(pid):
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with packet:
        packet.bind((interface, 0))
        mac = packet.getsockname()[4]
        ip = socket.inet_aton(address)
        arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, ip, b"\0" * 6, ip)
        packet.send((_BROADCAST + mac + struct.pack("!H", _ETH_P_ARP) + arp).ljust(60, b"\0"))


def hears(pid: int, interface: str, address: str, target: str, seconds: float) -> bool:
    """Whether somebody answers an ARP request (RFC 826) of ``address`` for ``target`` within ``seconds``.

    :raises OSError: if the interface is missing or down.
    """
    with inside(pid):
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ARP))
    with packet:
        packet.bind((interface, _ETH_P_ARP))
        mac = packet.getsockname()[4]
        asked, wanted = socket.inet_aton(address), socket.inet_aton(target)
        arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, asked, b"\0" * 6, wanted)
        packet.send((_BROADCAST + mac + struct.pack("!H", _ETH_P_ARP) + arp).ljust(60, b"\0"))
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            packet.settimeout(left)
            try:
                frame = packet.recv(128)
            except TimeoutError:
                return False
            if frame[20:22] == b"\0\2" and frame[28:32] == wanted and frame[38:42] == asked:
                return True
    return False
