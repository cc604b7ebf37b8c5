"""How does a command come into a QEMU guest from a terminal?

``inside.py SOCKET GUEST COMMAND…`` asks the lab to run it there, says what it has said, and ends as it has ended.  It
is a program of the standard library alone, as ``mnexec`` is for namespaces.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Final

_LONGEST_SECONDS: Final = 600
"""How long a command may run there: whoever leaves sooner cannot end it."""


def inside(path: Path, guest: str) -> tuple[str, ...]:
    """The words before a command that bring it into a guest of the lab whose socket it is."""
    return (sys.executable, "-I", "-S", __file__, str(path), guest)


def main() -> int:
    """Run one command; returns its exit code."""
    path, guest, *words = sys.argv[1:]
    order = {"kind": "VmExec", "fields": {"name": guest, "words": words, "seconds": _LONGEST_SECONDS}}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as session:
        session.connect(path)
        session.sendall(json.dumps(order).encode() + b"\n")
        with session.makefile("rb") as lines:
            answer = json.loads(lines.readline())
    ran = answer["fields"]
    if answer["kind"] != "VmRan":
        sys.stderr.write(f"{ran['message']}\n")
        return 1
    sys.stdout.write(ran["stdout"])
    sys.stderr.write(ran["stderr"])
    return int(ran["returncode"])


if __name__ == "__main__":
    sys.exit(main())
