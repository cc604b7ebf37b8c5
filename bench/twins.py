"""What do two tenants do whose machines have the same MACs, IPs and names, and what happens to them meanwhile?

The acting half of the tenants' run.  Both make networks *left* and *right* with the same subnets, and the same machines
on the same hypervisors; then a seed decides who changes what, or whether the operator or an accident does.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import count
from random import Random
from typing import Any, Final

from bench.bed import Bed, wait
from bench.glances import Api, Glances
from bench.homes import (
    CIDRS,
    GUEST,
    MACHINES,
    NETWORKS,
    NOBODY,
    TENANTS,
    Deed,
    Estate,
    Machine,
    fixed_ips,
    identity_of,
    lonely,
    mac_text,
    network_number,
    number_of,
    with_pool,
)
from bench.marks import Identity, Kind, Mark, Other
from bench.traffic import Traffic
from topologies.errors import LabError
from topologies.orders import VmStatus
from topologies.rest import RestError

_PAUSE_SECONDS: Final = (0.05, 0.4)
_SETTLE_SECONDS: Final = 60.0
_CONFLICT: Final = 409
_NETWORK_ODDS: Final = 0.3
"""That it is a network whose admin state changes, and not a port."""
_RENUMBERED: Final = 50


class Twins:
    """Two tenants in a lab.

    :param say: told of everything that is done.
    """

    def __init__(self, place: Bed, traffic: Traffic, seed: int, say: Callable[[str], None]) -> None:
        self.place = place
        self.traffic = traffic
        self.api = Api(place.lab, TENANTS)
        self.glances = Glances(self.api, TENANTS)
        self.deeds: list[Deed] = []
        self.unexpected: list[str] = []
        """What was refused or failed although nothing forbids it."""
        self._rng = Random(seed)  # noqa: S311  (a story to be told again, not a secret)
        self._say = say
        self._began = time.monotonic()
        self._words = count(1)
        self._words_of: defaultdict[str, list[str]] = defaultdict(list)
        """What only its owner says of an object, by the object's id."""
        self._numbers = count(1)
        self._networks: dict[tuple[str, str], str] = {}
        self._vnis: dict[str, tuple[int, ...]] = {}
        self._estates = {tenant: Estate() for tenant in TENANTS}
        self._policy = ""
        self._guest: Machine | None = None
        self._networks_down: set[tuple[str, str]] = set()
        self.machines: list[Machine] = []
        for tenant in TENANTS:
            self._found(tenant)
        for machine in self.machines:
            self._plug(machine)
        wait(place.settled, "all is confirmed")

    # ── at first ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _found(self, tenant: str) -> None:
        self._let_in(tenant)
        vnis = []
        alone = lonely(tenant)
        self.glances.owns(tenant, mac_text(alone.mac), str(IPv4Address(alone.ip)), str(IPv6Address(alone.ip6)))
        for network in NETWORKS:
            made = self._make(tenant, "networks", {"name": network})
            self._networks[tenant, network] = made["id"]
            for cidr in CIDRS:
                asked = {"network_id": made["id"], "name": network, **with_pool(cidr)}
                subnet = self._make(tenant, "subnets", asked)
                self._estates[tenant].subnets[f"{network} {cidr}"] = subnet["id"]
            shown = self.api.ask("", "GET", f"/v2.0/networks/{made['id']}")["network"]
            vnis.append(int(shown["provider:segmentation_id"]))
        self._vnis[tenant] = tuple(vnis)
        for network, name, host in MACHINES:
            own = alone if name == "lonely" else identity_of(name)
            machine = Machine(
                tenant, network, name, self.place.hosts[host % len(self.place.hosts)], next(self._numbers), own
            )
            self._make_port(machine)
            self.machines.append(machine)

    def _let_in(self, tenant: str) -> None:
        """Let whoever is in its networks talk to a tenant's machines: what is tried is the networks, not the groups."""
        (group,) = self.api.ask(tenant, "GET", "/v2.0/security-groups?name=default")["security_groups"]
        wish = {"security_group_id": group["id"], "direction": "ingress"}
        rules = [{**wish, "ethertype": family} for family in ("IPv4", "IPv6")]
        self.api.ask(tenant, "POST", "/v2.0/security-group-rules", {"security_group_rules": rules})

    def _make(self, who: str, kind: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Create an object as its tenant, with a word that is the tenant's alone."""
        word = f"only-of-{who}-{next(self._words)}."
        member = kind.removesuffix("s")
        made: dict[str, Any] = self.api.ask(who, "POST", f"/v2.0/{kind}", {member: {**asked, "description": word}})[
            member
        ]
        self.glances.owns(who, made["id"], word)
        self._words_of[made["id"]].append(word)
        return made

    def _make_port(self, machine: Machine) -> None:
        asked: dict[str, Any] = {
            "network_id": self._networks[machine.landlord or machine.tenant, machine.network],
            "name": machine.name,
            "device_id": machine.name,
        }
        if machine.landlord:
            # A guest has to take the addresses that it is given (Neutron's policy, too).
            made = self._make(machine.tenant, "ports", asked)
            ips = sorted(map(ip_address, (each["ip_address"] for each in made["fixed_ips"])), key=lambda ip: ip.version)
            machine.identity = Identity(int(made["mac_address"].replace(":", ""), 16), int(ips[0]), int(ips[-1]))
        else:
            own = machine.identity
            asked |= {"mac_address": mac_text(own.mac), "fixed_ips": fixed_ips(own)}
            made = self._make(machine.tenant, "ports", asked)
        machine.port_id = made["id"]

    def _plug(self, machine: Machine) -> None:
        status: VmStatus = self.place.lab.vm_add(machine.label, machine.host, port_id=machine.port_id, wait=False)
        # A guest is at home where it is let in, and everything else is foreign there, were it its own tenant's.
        other = next(each for each in TENANTS if each != (machine.landlord or machine.tenant))
        la = next(each.la for each in self.place.status.hypervisors if each.name != machine.host)
        known = Other(lonely(other), self._vnis[other], int(IPv4Address(la)))
        network = network_number(machine.landlord or machine.tenant, machine.network)
        mark = Mark(number_of(machine.tenant), network, machine.number, Kind.UNICAST)
        self.traffic.plugged(machine.label, status.pid, mark, machine.identity, known)
        machine.plugged = True

    def _unplug(self, machine: Machine) -> None:
        self.traffic.unplugged(machine.label)
        machine.plugged = False
        self.place.lab.vm_del(machine.label)

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def live(self, seconds: float) -> None:
        """Let things change for that long, then put everything to rights."""
        self._began = time.monotonic()
        deeds: dict[Callable[[], tuple[str, str]], int] = {
            self._network: 3,
            self._subnet: 2,
            self._port: 3,
            self._rebind: 2,
            self._admin_state: 3,
            self._renumber: 3,
            self._share: 2,
            self._tag: 2,
            self._move: 3,
            self._replug: 3,
            self._replace: 2,
            self._quota: 2,
            self._meddle: 2,
            self._end_controller: 1,
            self._end_daemon: 1,
        }
        # Every kind once at least, in an order of the seed's; then as it comes.
        first = list(deeds)
        self._rng.shuffle(first)
        while first or time.monotonic() < self._began + seconds:
            chosen = first.pop() if first else self._rng.choices(list(deeds), list(deeds.values()))[0]
            self._do(chosen)
            tenant = self._rng.choice(TENANTS)
            self._lend()
            try:
                self.glances.look(tenant)
            except RestError as wrong:
                self.unexpected.append(f"{tenant} looks: {wrong}")
            time.sleep(self._rng.uniform(*_PAUSE_SECONDS))
        if self._policy:
            self._do(self._share)
        self._do(self._restore)

    def _do(self, deed: Callable[[], tuple[str, str]]) -> None:
        began = time.monotonic()
        name = deed.__name__.strip("_").replace("_", " ")
        try:
            who, what = deed()
        except (LabError, TimeoutError) as wrong:
            who, what, refused = "", name, str(wrong)
            self.unexpected.append(f"{name}: {wrong}")
        else:
            refused = ""
        took = round(time.monotonic() - began, 2)
        done = Deed(round(began - self._began, 2), took, name, who, what, refused)
        self.deeds.append(done)
        self._say(f"{who or 'the operator'}: {what} ({done.took:g} s) {refused}")

    def _some_machine(self) -> Machine:
        return self._rng.choice([each for each in self.machines if each.plugged])

    def _network(self) -> tuple[str, str]:
        tenant = self._rng.choice(TENANTS)
        mine = self._estates[tenant].networks
        if mine and self._rng.random() < 0.5:
            name, network = mine.popitem()
            for port in self.api.ask(tenant, "GET", f"/v2.0/ports?network_id={network}&fields=id")["ports"]:
                self.api.ask(tenant, "DELETE", f"/v2.0/ports/{port['id']}")
            self.api.ask(tenant, "DELETE", f"/v2.0/networks/{network}")
            return tenant, f"network {name} deleted"
        name = f"spare-{len(mine)}"
        network = self._make(tenant, "networks", {"name": name})["id"]
        mine[name] = network
        for cidr in CIDRS:
            asked = {"network_id": network, "name": name, **with_pool(cidr)}
            self._make(tenant, "subnets", asked)
        own = identity_of("a")
        asked = {"network_id": network, "name": "a", "mac_address": mac_text(own.mac), "fixed_ips": fixed_ips(own)}
        self._bind(self._make(tenant, "ports", asked)["id"])
        return tenant, f"network {name} made, with a port as everywhere"

    def _subnet(self) -> tuple[str, str]:
        tenant, network = self._rng.choice(TENANTS), self._rng.choice(NETWORKS)
        mine, key = self._estates[tenant].subnets, f"{network} more"
        if key in mine:
            self.api.ask(tenant, "DELETE", f"/v2.0/subnets/{mine.pop(key)}")
            return tenant, f"subnet {key} deleted"
        asked = {"network_id": self._networks[tenant, network], "name": "more", "cidr": "10.9.0.0/24", "ip_version": 4}
        mine[key] = self._make(tenant, "subnets", asked)["id"]
        return tenant, f"subnet {key} made"

    def _port(self) -> tuple[str, str]:
        tenant, network = self._rng.choice(TENANTS), self._rng.choice(NETWORKS)
        mine = self._estates[tenant].ports
        if network in mine:
            self.api.ask(tenant, "DELETE", f"/v2.0/ports/{mine.pop(network)}")
            return tenant, f"spare port of {network} deleted"
        own = identity_of("spare")
        asked = {"name": "spare", "mac_address": mac_text(own.mac), "fixed_ips": fixed_ips(own)}
        mine[network] = self._make(tenant, "ports", {"network_id": self._networks[tenant, network], **asked})["id"]
        return tenant, f"spare port of {network} made"

    def _bind(self, port_id: str) -> str:
        host = self._rng.choice(self.place.hosts)
        self.api.ask("", "PUT", f"/v2.0/ports/{port_id}", {"port": {"binding:host_id": host}})
        return host

    def _rebind(self) -> tuple[str, str]:
        tenant = self._rng.choice([each for each in TENANTS if self._estates[each].ports] or [""])
        if not tenant:
            return self._port()
        network = self._rng.choice(list(self._estates[tenant].ports))
        host = self._bind(self._estates[tenant].ports[network])
        return "", f"spare port of {tenant}'s {network} bound to {host}"

    def _admin_state(self) -> tuple[str, str]:
        if self._rng.random() < _NETWORK_ODDS:
            down = sorted(self._networks_down)
            key = down[0] if down else self._rng.choice(list(self._networks))
            self._set_network(key, up=key in self._networks_down)
            return key[0], f"network {key[1]} {'down' if key in self._networks_down else 'up'}"
        # What is down comes up soon: most of the time there is to be something to hear.
        machine = next((each for each in self.machines if each.down), None) or self._some_machine()
        self._set_port(machine, up=machine.down)
        return machine.tenant, f"port {machine.label} {'down' if machine.down else 'up'}"

    def _set_network(self, key: tuple[str, str], *, up: bool) -> None:
        asked = {"network": {"admin_state_up": up}}
        self.api.ask(key[0], "PUT", f"/v2.0/networks/{self._networks[key]}", asked)
        self._networks_down = self._networks_down - {key} if up else self._networks_down | {key}

    def _set_port(self, machine: Machine, *, up: bool) -> None:
        asked = {"port": {"admin_state_up": up}}
        self.api.ask(machine.tenant, "PUT", f"/v2.0/ports/{machine.port_id}", asked)
        machine.down = not up

    def _renumber(self) -> tuple[str, str]:
        machine = self._rng.choice([each for each in self.machines if each.name in {"a", "b"} and each.plugged])
        by = -_RENUMBERED if machine.renumbered else _RENUMBERED
        own = Identity(machine.identity.mac, machine.identity.ip + by, machine.identity.ip6 + by)
        asked = {"port": {"fixed_ips": fixed_ips(own)}}
        self.api.ask(machine.tenant, "PUT", f"/v2.0/ports/{machine.port_id}", asked)
        machine.identity, machine.renumbered = own, not machine.renumbered
        self.traffic.renumbered(machine.label, own)
        return machine.tenant, f"{machine.label} renumbered to {IPv4Address(own.ip)}"

    def _share(self) -> tuple[str, str]:
        """Share *left* of *red* with *blue*, let a guest in; next time see it off and take the share back."""
        if self._guest is not None:
            guest = self._guest
            if guest.plugged:
                self._unplug(guest)
            self.api.ask("blue", "DELETE", f"/v2.0/ports/{guest.port_id}")
            self._guest = None
        if self._policy:
            self.api.ask("red", "DELETE", f"/v2.0/rbac-policies/{self._policy}")
            self._policy = ""
            return "red", "left is shared no more"
        asked = {
            "object_type": "network",
            "object_id": self._networks["red", "left"],
            "action": "access_as_shared",
            "target_tenant": "blue",
        }
        made = self.api.ask("red", "POST", "/v2.0/rbac-policies", {"rbac_policy": asked})["rbac_policy"]
        self._policy = str(made["id"])
        self.glances.owns("red", self._policy)
        host = self._rng.choice(self.place.hosts)
        number = next(self._numbers)
        guest = Machine("blue", "left", GUEST, host, number, NOBODY, landlord="red")
        self._make_port(guest)
        self._guest = guest
        self._plug(guest)
        return "red", f"left is shared with blue, whose guest is at {host}"

    def _lend(self) -> None:
        """Say what each may see of the other just now.

        A shared network and its subnets are seen by whom it is for, and the ports in a network by whose the network is.
        """
        lent: set[str] = set()
        if self._policy:
            subnets = (each for key, each in self._estates["red"].subnets.items() if key.startswith("left "))
            for each in (self._networks["red", "left"], *subnets):
                lent |= {each, *self._words_of[each]}
        self.glances.lends("blue", lent)
        port = self._guest.port_id if self._guest else ""
        self.glances.lends("red", {port, *self._words_of[port]} if port else set())

    def _tag(self) -> tuple[str, str]:
        tenant = self._rng.choice(TENANTS)
        kind, object_id = self._rng.choice(
            [("networks", self._networks[tenant, "left"]), ("ports", self._port_of(tenant))]
        )
        word = f"only-tag-of-{tenant}-{next(self._words)}."
        self.glances.owns(tenant, word)
        self._words_of[object_id].append(word)
        # One tag is the same for both, the other is not.
        self.api.ask(tenant, "PUT", f"/v2.0/{kind}/{object_id}/tags", {"tags": ["gold", word]})
        return tenant, f"tags of one of its {kind} replaced"

    def _port_of(self, tenant: str) -> str:
        return self._rng.choice([each.port_id for each in self.machines if each.tenant == tenant])

    def _move(self) -> tuple[str, str]:
        machine = self._some_machine()
        host = self._rng.choice([each for each in self.place.hosts if each != machine.host])
        # A move needs the target's and the source's word, so everything has to be there after an accident.
        wait(self.place.settled, "all is confirmed before a move", seconds=_SETTLE_SECONDS, pause=0.1)
        if machine.down or (machine.tenant, machine.network) in self._networks_down:
            return self._rehost(machine, host)
        self.place.lab.vm_move(machine.label, host, pause_ms=self._rng.choice((0.0, 50.0)))
        machine.host = host
        return "", f"{machine.label} moved to {host}"

    def _rehost(self, machine: Machine, host: str) -> tuple[str, str]:
        self._unplug(machine)
        machine.host = host
        self._plug(machine)
        return "", f"{machine.label} unplugged, and plugged at {host}"

    def _replug(self) -> tuple[str, str]:
        return self._rehost(self._some_machine(), self._rng.choice(self.place.hosts))

    def _replace(self) -> tuple[str, str]:
        machine = self._some_machine()
        self._unplug(machine)
        self.api.ask(machine.tenant, "DELETE", f"/v2.0/ports/{machine.port_id}")
        machine.host, machine.down = self._rng.choice(self.place.hosts), False
        self._make_port(machine)
        self._plug(machine)
        return machine.tenant, f"{machine.label} and its port deleted, and made again at {machine.host}"

    def _quota(self) -> tuple[str, str]:
        tenant = self._rng.choice(TENANTS)
        self.api.ask("", "PUT", f"/v2.0/quotas/{tenant}", {"quota": {"network": 1}})
        try:
            made = self._make(tenant, "networks", {"name": "too-many"})
        except RestError as wrong:
            if wrong.status != _CONFLICT:
                raise
        else:
            self.api.ask(tenant, "DELETE", f"/v2.0/networks/{made['id']}")
            self.unexpected.append(f"quota: {tenant} could make a network beyond its quota")
        self.api.ask("", "DELETE", f"/v2.0/quotas/{tenant}")
        return "", f"quota of {tenant} lowered, met, and reset"

    def _meddle(self) -> tuple[str, str]:
        tenant = self._rng.choice(TENANTS)
        other = next(each for each in TENANTS if each != tenant)
        self.glances.meddle(tenant, "networks", self._networks[other, "right"])
        self.glances.meddle(tenant, "subnets", self._estates[other].subnets[f"right {CIDRS[0]}"])
        self.glances.meddle(tenant, "ports", self._port_of(other))
        return tenant, f"tries to see, change and delete what is {other}'s"

    def _end_controller(self) -> tuple[str, str]:
        self.place.lab.kill_controller()
        self.api.close()
        self.place.rest.close()
        time.sleep(self._rng.uniform(*_PAUSE_SECONDS))
        self.place.lab.start_controller()
        return "", "controller killed and started again"

    def _end_daemon(self) -> tuple[str, str]:
        host = self._rng.choice(self.place.hosts)
        self.place.lab.kill_vswitchd(host)
        time.sleep(self._rng.uniform(*_PAUSE_SECONDS))
        self.place.lab.restart_vswitchd(host)
        return "", f"ovs-vswitchd of {host} killed and started again"

    # ── in the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _restore(self) -> tuple[str, str]:
        for key in tuple(self._networks_down):
            self._set_network(key, up=True)
        for machine in self.machines:
            if machine.down:
                self._set_port(machine, up=True)
            if not machine.plugged:
                self._plug(machine)
        wait(self.place.settled, "all is confirmed", seconds=_SETTLE_SECONDS, pause=0.1)
        return "", "everything up and plugged again"
