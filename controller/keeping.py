"""How is a file written that must never be half there, nor open to others for a moment?

Under another name, with its mode from the first byte, and then renamed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PRIVATE: Final = 0o600


def put(path: Path, content: bytes, mode: int = _PRIVATE) -> None:
    """Write a file; replaces one that is there.

    :raises OSError: when it cannot be written; then what was there is as it was.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
