"""Which port belongs to which trunk?"""

from __future__ import annotations

from overlay.refusals import NotFound
from overlay.trunks.values import Trunk


class Trunks:
    """All trunks, and by which of their ports each is found."""

    def __init__(self) -> None:
        self.by_id: dict[str, Trunk] = {}
        self._of_parent: dict[str, str] = {}
        self._of_sub_port: dict[str, tuple[str, int]] = {}

    def find(self, trunk_id: str) -> Trunk:
        """Look up.  :raises NotFound: ``TrunkNotFound``."""
        try:
            return self.by_id[trunk_id]
        except KeyError:
            raise NotFound(f"Trunk {trunk_id} could not be found.", field="trunk_id", kind="TrunkNotFound") from None

    def put(self, trunk: Trunk) -> None:
        """Add or replace."""
        before = self.by_id.get(trunk.id)
        for sub in () if before is None else before.sub_ports:
            del self._of_sub_port[sub.port_id]
        self.by_id[trunk.id] = trunk
        self._of_parent[trunk.port_id] = trunk.id
        self._of_sub_port.update({sub.port_id: (trunk.id, sub.vid) for sub in trunk.sub_ports})

    def drop(self, trunk_id: str) -> Trunk:
        """Remove."""
        trunk = self.by_id.pop(trunk_id)
        del self._of_parent[trunk.port_id]
        for sub in trunk.sub_ports:
            del self._of_sub_port[sub.port_id]
        return trunk

    def led_by(self, port_id: str) -> Trunk | None:
        """The trunk whose parent a port is."""
        trunk_id = self._of_parent.get(port_id)
        return None if trunk_id is None else self.by_id[trunk_id]

    def carrying(self, port_id: str) -> Trunk | None:
        """The trunk whose sub-port a port is."""
        found = self._of_sub_port.get(port_id)
        return None if found is None else self.by_id[found[0]]

    def vid(self, port_id: str) -> int:
        """The VLAN of a sub-port; 0 for any other port."""
        return self._of_sub_port.get(port_id, ("", 0))[1]

    def leader(self, port_id: str) -> str:
        """By whose tap a port's frames come, and whose moves it makes: those of a sub-port's parent, else its own."""
        trunk = self.carrying(port_id)
        return port_id if trunk is None else trunk.port_id

    def convoy(self, port_id: str) -> tuple[str, ...]:
        """A port and its sub-ports, which go where it goes."""
        trunk = self.led_by(port_id)
        return (port_id,) if trunk is None else (port_id, *(sub.port_id for sub in trunk.sub_ports))
