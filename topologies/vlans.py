"""What does a server's network card do that is wired straight to an edge switch?

One process per server.  It holds the cable, a tap in the edge switch's namespace, and in the server's namespace one tap
per VLAN, ``eth0`` and so on: what the server sends by one of them goes out with that tag, and of what comes in each
gets the frames that have it, without it.  (VLAN 0 is the frames without a tag.)  A kernel that has 802.1Q would do it
itself.  Only the standard library is used, and nothing else of ours but the taps of :mod:`topologies.nic`.
"""

from __future__ import annotations

import argparse
import os
import select
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from topologies.nic import open_tap

_BURST: Final = 64
_FRAME_MAX: Final = 9216
_TAG: Final = b"\x81\x00"
_VID_MASK: Final = 0xFFF
_ADDRESSES: Final = 12
_TAG_LENGTH: Final = 4
_WIRE_MAC: Final = b"\xfe\x00\x00"


def tagged(frame: bytes, vid: int) -> bytes:
    """Give a frame the tag of a VLAN (IEEE 802.1Q)."""
    return frame[:_ADDRESSES] + _TAG + struct.pack("!H", vid) + frame[_ADDRESSES:] if vid else frame


def untagged(frame: bytes) -> tuple[int, bytes]:
    """The VLAN of a frame, and the frame without its tag."""
    if frame[_ADDRESSES : _ADDRESSES + 2] != _TAG or len(frame) < _ADDRESSES + _TAG_LENGTH:
        return 0, frame
    (control,) = struct.unpack_from("!H", frame, _ADDRESSES + 2)
    return control & _VID_MASK, frame[:_ADDRESSES] + frame[_ADDRESSES + _TAG_LENGTH :]


def _frames(fd: int) -> list[bytes]:
    frames: list[bytes] = []
    with suppress(BlockingIOError):
        while len(frames) < _BURST:
            frames.append(os.read(fd, _FRAME_MAX))
    return frames


def relay(wire: int, cards: Mapping[int, int]) -> None:
    """Pass frames between the cable and the VLANs' taps (descriptor by VLAN) for ever; what a tap refuses is lost."""
    vid_of = {fd: vid for vid, fd in cards.items()}
    poller = select.epoll()
    for fd in (wire, *vid_of):
        poller.register(fd, select.EPOLLIN)
    while True:
        for fd, _event in poller.poll():
            for frame in _frames(fd):
                with suppress(OSError):
                    if fd != wire:
                        os.write(wire, tagged(frame, vid_of[fd]))
                        continue
                    vid, bare = untagged(frame)
                    if vid in cards:
                        os.write(cards[vid], bare)


def main() -> None:
    """Run one card: ``python -m topologies.vlans --switch PID --wire NAME --guest PID --mtu N VLAN=MAC…``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--switch", type=int, required=True)
    parser.add_argument("--wire", required=True)
    parser.add_argument("--guest", type=int, required=True)
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("vlans", nargs="+", metavar="VLAN=MAC")
    asked = parser.parse_args()
    cards = {}
    for number, text in enumerate(asked.vlans):
        vid, _, mac = text.partition("=")
        cards[int(vid)] = open_tap(asked.guest, f"eth{number}", bytes.fromhex(mac.replace(":", "")), asked.mtu)
    wire = open_tap(asked.switch, asked.wire, _WIRE_MAC + os.urandom(3), asked.mtu + _TAG_LENGTH)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    relay(wire, cards)


if __name__ == "__main__":
    main()
