"""Which of Mininet's names do we use?

The one place that imports Mininet 2.3: it lives outside of the package index (Debian's ``mininet``), is not typed and
still imports ``distutils``, whose deprecation warning is Mininet's business and not that of our users.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from mininet.cli import CLI
    from mininet.link import Intf, Link
    from mininet.net import Mininet
    from mininet.node import Node, Switch
    from mininet.topo import Topo

__all__ = ["CLI", "Intf", "Link", "Mininet", "Node", "Switch", "Topo"]
