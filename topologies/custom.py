"""How does Mininet's own command get our topologies?

``mn --custom topologies/custom.py --topo vl2,3,3,4``: Mininet executes this file and takes the module-level
``topos``.  Switches and hosts are then Mininet's ordinary ones; the hosts have the LAs of our hypervisors.
"""

from __future__ import annotations

import sys
from inspect import currentframe
from pathlib import Path
from typing import Final

# Mininet's command runs this file by path, with an interpreter that need not know where the package is.
# It compiles the file itself, so there is no ``__file__``.
_FRAME: Final = currentframe()
_ROOT: Final = str(Path(_FRAME.f_code.co_filename).resolve().parent.parent) if _FRAME else ""
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from topologies.registry import TOPOLOGIES  # noqa: E402

topos: Final = dict(TOPOLOGIES)
