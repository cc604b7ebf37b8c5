"""How is the product run without its console script?

``python -m controller …`` is ``vl2 …``.
"""

from __future__ import annotations

from controller.cli import main

if __name__ == "__main__":
    main(prog_name="vl2")
