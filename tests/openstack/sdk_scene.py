"""Make a network with ports through openstacksdk, and switch them: ``make NAME CIDR COUNT``,
``port ID up|down``, ``network ID up|down``, ``bind ID HOST``, ``activate ID HOST``.
"""

import json
import sys

import openstack

conn = openstack.connect()
net = conn.network


def make(name: str, cidr: str, count: str) -> dict[str, object]:
    """A network with a subnet and ports, all of which are made at once."""
    network = net.create_network(name=name)
    net.create_subnet(network_id=network.id, ip_version=4, cidr=cidr)
    wishes = [{"network_id": network.id, "name": f"{name}{number}"} for number in range(1, int(count) + 1)]
    ports = list(net.create_ports(wishes))
    return {"network": network.id, "ports": [port.id for port in ports]}


def switch(kind: str, id_: str, state: str) -> dict[str, object]:
    """Switch a port or a network on or off."""
    update = {"port": net.update_port, "network": net.update_network}[kind]
    return {"up": update(id_, is_admin_state_up=state == "up").is_admin_state_up}


def move(id_: str, host: str) -> dict[str, object]:
    """Move a port as Nova does: a passive binding, then its activation."""
    net.create_port_binding(id_, host=host)
    return {"status": next(net.port_bindings(id_, host=host)).status}


def activate(id_: str, host: str) -> dict[str, object]:
    """Let the traffic follow."""
    net.activate_port_binding(id_, host=host)
    return {binding.host: binding.status for binding in net.port_bindings(id_)}


match sys.argv[1:]:
    case ["make", *words]:
        print(json.dumps(make(*words)))
    case ["port" | "network" as kind, id_, state]:
        print(json.dumps(switch(kind, id_, state)))
    case ["bind", id_, host]:
        print(json.dumps(move(id_, host)))
    case ["activate", id_, host]:
        print(json.dumps(activate(id_, host)))
