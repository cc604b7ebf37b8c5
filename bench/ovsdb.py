"""How is a port plugged with the least effort?

By one raw transaction (RFC 7047 §4.1.3) on the hypervisor's database, as nova-compute does it; a process for each
``ovs-vsctl`` would be a part of what is measured.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Plug:
    """An interface to be plugged: its name, whose port it is, and (if not 0) which OpenFlow port it shall be."""

    interface: str
    port_id: str = ""
    ofport: int = 0


class Database:
    """The database of one hypervisor.

    :param directory: where its socket is.
    """

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/db.sock"

    def transact(self, operations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run one transaction.

        :raises RuntimeError: if the database refuses it.
        """
        asked = json.dumps({"method": "transact", "params": ["Open_vSwitch", *operations], "id": 0})
        with socket.socket(socket.AF_UNIX) as session:
            session.settimeout(_SECONDS)
            session.connect(self._path)
            session.sendall(asked.encode())
            heard = b""
            while True:
                more = session.recv(1 << 20)
                if not more:
                    raise RuntimeError("the database hung up")
                heard += more
                try:
                    answer = json.loads(heard)
                except ValueError:
                    continue
                break
        result: list[dict[str, Any]] = answer["result"]
        for each in result or [{"error": answer["error"]}]:
            if each and each.get("error"):
                raise RuntimeError(f"the database refuses: {each}")
        return result

    def plug(self, plugs: Iterable[Plug], bridge: str = "br-int") -> None:
        """Plug interfaces that exist; does not wait for the switch."""
        operations: list[dict[str, Any]] = []
        ports = []
        for number, plug in enumerate(plugs):
            ids = [["iface-id", plug.port_id], ["iface-status", "active"]] if plug.port_id else []
            row: dict[str, Any] = {"name": plug.interface, "external_ids": ["map", ids]}
            if plug.ofport:
                row["ofport_request"] = plug.ofport
            operations += [
                {"op": "insert", "table": "Interface", "uuid-name": f"i{number}", "row": row},
                {
                    "op": "insert",
                    "table": "Port",
                    "uuid-name": f"p{number}",
                    "row": {"name": plug.interface, "interfaces": ["named-uuid", f"i{number}"]},
                },
            ]
            ports.append(["named-uuid", f"p{number}"])
        self.transact([*operations, self._mutate(bridge, "insert", ports)])

    def unplug(self, interfaces: Iterable[str], bridge: str = "br-int") -> None:
        """Take interfaces out."""
        found = self.transact(
            [
                {"op": "select", "table": "Port", "where": [["name", "==", name]], "columns": ["_uuid"]}
                for name in interfaces
            ]
        )
        ports = [row["_uuid"] for answer in found for row in answer["rows"]]
        self.transact([self._mutate(bridge, "delete", ports)])

    def sync(self, seconds: float = _SECONDS) -> None:
        """Wait until the switch has done all that the database asks for (ovs-vswitchd.conf.db(5), ``cur_cfg``).

        :raises TimeoutError: if it does not.
        """
        ask = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["cur_cfg", "next_cfg"]}
        more = {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]}
        wanted = self.transact([more, ask])[1]["rows"][0]["next_cfg"]
        deadline = time.monotonic() + seconds
        while self.transact([ask])[0]["rows"][0]["cur_cfg"] < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the switch has not caught up with its database within {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def numbered(self) -> int:
        """How many interfaces have an OpenFlow port."""
        ask = {"op": "select", "table": "Interface", "where": [["ofport", ">", 0]], "columns": ["ofport"]}
        return len(self.transact([ask])[0]["rows"])

    def _mutate(self, bridge: str, how: str, ports: list[Any]) -> dict[str, Any]:
        return {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", bridge]],
            "mutations": [["ports", how, ["set", ports]]],
        }
