"""How does the lab ask the controller for things?

As any orchestrator does: the Networking API (``/v2.0``) and this product's extras (``/v1``) over HTTP with a token.
Answers are parsed here into small values.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode

from topologies.errors import LabError

SECONDS = 30.0
"""How long an answer may take, if whoever asks does not say."""


class RestError(LabError):
    """The controller refused, or did not answer.

    :ivar status: the HTTP status, 0 if there was no answer.
    :ivar kind: the controller's name for the error (``PortNotFound``).
    """

    def __init__(self, message: str, status: int = 0, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, slots=True)
class PortView:
    """A port as the API shows it."""

    id: str
    network_id: str
    project_id: str
    mac: str
    addresses: tuple[str, ...]
    """With prefix lengths: ``10.1.0.5/24``."""
    gateway: str | None
    mtu: int
    status: str
    host: str


@dataclass(frozen=True, slots=True)
class MoveView:
    """A move as the API shows it."""

    id: str
    phase: str
    target: str


@dataclass(frozen=True, slots=True)
class FabricView:
    """How much of the fabric the controller knows."""

    usable: int
    """Links that can be used, each direction counted."""
    locators: frozenset[str]


class Rest:
    """A connection to the controller's API; not to be shared by threads.

    :param address: host and port.
    :param token: the value of ``X-Auth-Token``.
    :param cacert: a file with the authority of the controller's certificate; without it the API is asked in plain text.
    :param seconds: how long an answer may take.
    """

    def __init__(self, address: tuple[str, int], token: str, cacert: str = "", seconds: float = SECONDS) -> None:
        if cacert:
            trusted = ssl.create_default_context(cafile=cacert)
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                *address, timeout=seconds, context=trusted
            )
        else:
            self._connection = http.client.HTTPConnection(*address, timeout=seconds)
        self._token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; a further request makes a new one."""
        self._connection.close()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return the JSON object of the answer.

        :raises RestError: for an answer outside 2xx, or none.
        """
        text = None if body is None else json.dumps(body)
        headers = {"X-Auth-Token": self._token, "Accept": "application/json"}
        if text is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._leave_what_ended()
            self._connection.request(method, path, text, headers)
            answer = self._connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as wrong:
            self._connection.close()
            raise RestError(f"the controller does not answer: {wrong}") from wrong
        try:
            found = json.loads(said) if said else {}
        except ValueError:
            found = {}
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            error = found.get("NeutronError") or found.get("error") or {}
            if not isinstance(error, dict):
                error = {"message": str(error)}
            message = error.get("message") or said.decode(errors="replace")[:200]
            raise RestError(f"{method} {path}: {answer.status} {message}", answer.status, str(error.get("type", "")))
        return found if isinstance(found, dict) else {"items": found}

    def _leave_what_ended(self) -> None:
        """Let the request make a new connection where the controller has ended the idle one: it waits 75 s for more.

        Asking again after a failure would be simpler, but might do a thing twice.
        """
        sock = self._connection.sock
        if sock is not None and select.select([sock], (), (), 0)[0]:
            self._connection.close()

    def healthy(self) -> bool:
        """Whether the controller says that it is up."""
        try:
            self.ask("GET", "/v1/health")
        except RestError:
            return False
        return True

    def fabric(self) -> FabricView:
        """What the controller has discovered so far."""
        found = self.ask("GET", "/v1/topology")["topology"]
        usable = sum(bool(link["usable"]) for link in found["links"])
        return FabricView(usable, frozenset(str(each["la"]) for each in found["locators"]))

    def network_id(self, name: str, project: str) -> str:
        """The id of a network, by id or by name (of one project, if given).

        :raises RestError: if there is none, or more than one of that name.
        """
        query = {"name": name, **({"project_id": project} if project else {})}
        found = self.ask("GET", f"/v2.0/networks?{urlencode(query)}").get("networks", [])
        if len(found) > 1:
            raise RestError(f"network: {len(found)} networks are called {name!r}; say which project, or the id")
        if found:
            return str(found[0]["id"])
        return str(self.ask("GET", f"/v2.0/networks/{quote(name)}")["network"]["id"])

    def create_port(self, network_id: str, project: str, name: str, host: str) -> str:
        """Create a port bound to a host; returns its id."""
        body = {"network_id": network_id, "name": name, "device_id": name, "device_owner": "compute:lab"}
        body["binding:host_id"] = host
        if project:
            body["project_id"] = project
        return str(self.ask("POST", "/v2.0/ports", {"port": body})["port"]["id"])

    def bind(self, port_id: str, host: str) -> None:
        """Bind a port to a host, as an orchestrator does before it starts the machine there."""
        self.ask("PUT", f"/v2.0/ports/{port_id}", {"port": {"binding:host_id": host}})

    def wire(self, port_id: str, switch: str, interface: str, vid: int) -> None:
        """Bind a port to a VLAN of an interface of an edge switch."""
        link = {"local_link_information": [{"switch_info": switch, "port_id": interface}], "vlan": vid}
        body = {"binding:vnic_type": "baremetal", "binding:profile": link}
        self.ask("PUT", f"/v2.0/ports/{port_id}", {"port": body})

    def delete_port(self, port_id: str) -> None:
        """Delete a port."""
        self.ask("DELETE", f"/v2.0/ports/{port_id}")

    def port_state(self, port_id: str) -> tuple[str, str]:
        """A port's status and host."""
        port = self.ask("GET", f"/v2.0/ports/{port_id}")["port"]
        return str(port["status"]), str(port.get("binding:host_id") or "")

    def port(self, port_id: str) -> PortView:
        """A port, with what its guest has to configure."""
        port = self.ask("GET", f"/v2.0/ports/{port_id}")["port"]
        network = self.ask("GET", f"/v2.0/networks/{port['network_id']}")["network"]
        addresses, gateway = [], None
        for each in port.get("fixed_ips", ()):
            subnet = self.ask("GET", f"/v2.0/subnets/{each['subnet_id']}")["subnet"]
            addresses.append(f"{each['ip_address']}/{subnet['cidr'].partition('/')[2]}")
            if subnet.get("gateway_ip") and subnet.get("ip_version", 4) == 4:  # noqa: PLR2004
                gateway = gateway or str(subnet["gateway_ip"])
        return PortView(
            id=str(port["id"]),
            network_id=str(port["network_id"]),
            project_id=str(port.get("project_id", "")),
            mac=str(port["mac_address"]),
            addresses=tuple(addresses),
            gateway=gateway,
            mtu=int(network.get("mtu", 1500)),
            status=str(port["status"]),
            host=str(port.get("binding:host_id") or ""),
        )

    def bind_passive(self, port_id: str, host: str) -> None:
        """Create a second, inactive binding (Neutron's *port bindings extended*)."""
        self.ask("POST", f"/v2.0/ports/{port_id}/bindings", {"binding": {"host": host}})

    def activate(self, port_id: str, host: str) -> None:
        """Activate an inactive binding; answers when all switches have confirmed."""
        self.ask("PUT", f"/v2.0/ports/{port_id}/bindings/{quote(host)}/activate")

    def unbind(self, port_id: str, host: str) -> None:
        """Delete an inactive binding."""
        self.ask("DELETE", f"/v2.0/ports/{port_id}/bindings/{quote(host)}")

    def move(self, move_id: str) -> MoveView:
        """One move."""
        return _move(self.ask("GET", f"/v1/moves/{quote(move_id)}")["move"])

    def moves_under_way(self, port_id: str) -> tuple[MoveView, ...]:
        """The moves of a port that have not ended; at most one."""
        found = self.ask("GET", f"/v1/moves?port_id={port_id}&live=true")["moves"]
        return tuple(map(_move, found))


def _move(found: Mapping[str, Any]) -> MoveView:
    return MoveView(str(found["id"]), str(found["phase"]).upper(), str(found["target"]))
