"""What do security groups cost: in flows, for one more member, and for each packet?

The flows are counted and the time to decide is taken in the pure part, for groups of up to 1,000 members and 100 rules
that name them.  Then the same on the switches of a lab: 1,000 members, a machine on each of two hypervisors whose
group has the 100 rules, and a port that joins the members and leaves them.  What a packet pays is measured between two
pairs of machines in turns: one in its project's default group, one whose ports nobody checks.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network
from itertools import count
from typing import Any, Final

from bench.bed import PROJECT, Bed, bed, wait
from bench.compile import HOSTS, Site
from bench.record import Notebook
from overlay.changes import Change, CreateNetwork, CreatePort, CreateSubnet, Outcome, Plugged, UpdatePort
from overlay.policy.changes import CreateSecurityGroup, CreateSecurityRule
from overlay.policy.values import Direction
from overlay.values import Mac

SIZES: Final = ((0, 0), (10, 10), (100, 10), (10, 100), (100, 100), (1000, 10), (1000, 100))
"""Members and rules."""
_FLOWS: Final = "Flows of a hypervisor with one port whose group has the rules"
_DECIDED: Final = "One membership change decided (1,000 members, 100 rules, four hypervisors)"
_SWITCHED: Final = "One membership change on the switches (1,000 members, 100 rules, two hypervisors)"
_PACKETS: Final = "What a packet pays, across two hypervisors"
_FIRST_PORT: Final = 10_000
_CIDR: Final = "10.7.0.0/16"
_CHUNK: Final = 100
_OFCTL: Final = ("ovs-ofctl", "-O", "OpenFlow15")

# ── decided ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Place:
    """A world with a server on each hypervisor, members, and rules that let the members in."""

    def __init__(self, members: int, rules: int) -> None:
        self.site = Site(0)
        self._macs = count(1)
        self.do(*self.site.backlog)
        self.change(
            CreateNetwork("net", "p"),
            CreateSubnet("four", "p", "net", IPv4Network(_CIDR)),
            *(CreateSecurityGroup(name, "p", (f"{name}4", f"{name}6")) for name in ("servers", "members")),
        )
        for number, host in enumerate(HOSTS):
            mac = Mac(next(self._macs))
            self.change(CreatePort(f"server{number}", "p", "net", mac=mac, host=host, security_groups=("servers",)))
            self.change(Plugged(host, f"server{number}", 10))
        for number in range(rules):
            self.change(
                CreateSecurityRule(
                    f"rule{number}",
                    "p",
                    "servers",
                    Direction.INGRESS,
                    4,
                    6,
                    _FIRST_PORT + 2 * number,
                    _FIRST_PORT + 2 * number,
                    remote_group_id="members",
                )
            )
        for number in range(members):
            self.member(f"member{number}", ("members",))
        self.site.confirm()

    def change(self, *changes: Change) -> None:
        """Apply and carry out."""
        self.do(*map(self.site.apply, changes))

    def do(self, *outcomes: Outcome) -> None:
        """Carry out."""
        self.site.carry_out(Outcome.merge(outcomes))

    def member(self, name: str, groups: tuple[str, ...]) -> None:
        """Make a port that is plugged nowhere."""
        self.change(CreatePort(name, "p", "net", mac=Mac(next(self._macs)), security_groups=groups))

    def flows(self) -> int:
        """How many flows one of the hypervisors has."""
        return len(self.site.compiler.desired(HOSTS[0]))


def decided(book: Notebook, changes: int) -> None:
    """Count flows, and take the time that a membership change takes to be decided."""
    bare: dict[int, int] = {}
    place = Place(0, 0)
    for members, rules in SIZES:
        # A member costs flows as any port does; only what its group adds is the policy's.
        place = Place(members, rules)
        if members not in bare:
            bare[members] = Place(members, 0).flows()
        added = place.flows() - bare[members]
        book.take(
            _FLOWS, f"{members} members, {rules} rules", "flows of the policy", "", added, "members + rules + few"
        )
        book.take(_FLOWS, f"{members} members, {rules} rules", "members × rules", "", members * rules)
        book.say(f"{members} members and {rules} rules: {added} flows")
    place.member("joiner", ())
    site = place.site
    for number in range(changes):
        groups = ("members",) if number % 2 == 0 else ()
        began = time.perf_counter()
        outcome = site.apply(UpdatePort("joiner", security_groups=groups))
        deltas = site.compiler.refresh(outcome.dirty)
        took = time.perf_counter() - began
        case = "joins" if groups else "leaves"
        book.take(_DECIDED, case, "time", "ms", took * 1000)
        touched = [len(delta.put) + len(delta.remove) for delta in deltas.values()]
        book.take(_DECIDED, case, "flow-mods in all", "", sum(touched))
        book.take(_DECIDED, case, "hypervisors touched", "", len(touched))


# ── on the switches ───────────────────────────────────────────────────────────────────────────────────────────────────


def ask(place: Bed, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request of the measurement's project."""
    with place.lab.rest(PROJECT) as rest:
        return rest.ask(method, f"/v2.0/{path}", body)


def group(place: Bed, name: str) -> str:
    """Make a group."""
    return str(ask(place, "POST", "security-groups", {"security_group": {"name": name}})["security_group"]["id"])


def rules(place: Bed, servers: str, members: str, number: int) -> None:
    """Let the members in, by as many rules."""
    ports = (_FIRST_PORT + 2 * each for each in range(number))
    body = [
        {
            "security_group_id": servers,
            "direction": "ingress",
            "protocol": "tcp",
            "port_range_min": port,
            "port_range_max": port,
            "remote_group_id": members,
        }
        for port in ports
    ]
    ask(place, "POST", "security-group-rules", {"security_group_rules": body})


def bulk(place: Bed, network: str, members: str, number: int) -> None:
    """Make members that are plugged nowhere."""
    for first in range(0, number, _CHUNK):
        body = [
            {"network_id": network, "name": f"member{each}", "security_groups": [members]}
            for each in range(first, min(first + _CHUNK, number))
        ]
        ask(place, "POST", "ports", {"ports": body})


def held(environment: dict[str, str], *match: str) -> int:
    """How many flows a hypervisor holds."""
    done = subprocess.run(
        [*_OFCTL, "dump-aggregate", "br-int", *match],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"flow_count=(\d+)", done.stdout)
    return int(found[1]) if found else 0


def switched(book: Notebook, place: Bed, members: int, number_of_rules: int, changes: int) -> None:
    """Count flows and take times on real switches."""
    network = place.network("policy", _CIDR)
    servers, joined = group(place, "servers"), group(place, "members")
    for host in place.hosts:
        port = ask(place, "POST", "ports", {"port": {"network_id": network, "security_groups": [servers]}})["port"]
        place.lab.vm_add(f"server-{host}", host, port_id=port["id"])
    case = f"{members} members, {number_of_rules} rules, real switch"
    bulk(place, network, joined, members)
    wait(place.settled, "the members are known", seconds=120)
    environments = [place.lab.environment(host) for host in place.hosts]
    before = held(environments[0])
    rules(place, servers, joined, number_of_rules)
    wait(place.settled, "the rules are known", seconds=120)
    book.take(_FLOWS, case, "flows of the policy", "", held(environments[0]) - before)
    book.take(_FLOWS, case, "members × rules", "", members * number_of_rules)
    joiner = ask(place, "POST", "ports", {"port": {"network_id": network, "security_groups": []}})["port"]
    wait(place.settled, "the joiner is known")
    address = joiner["fixed_ips"][0]["ip_address"]
    for number in range(changes):
        wanted = number % 2 == 0
        case = "joins" if wanted else "leaves"
        sent = sum(each.flow_mods for each in place.sent().values())
        began = time.monotonic()
        body = {"port": {"security_groups": [joined] if wanted else []}}
        ask(place, "PUT", f"ports/{joiner['id']}", body)
        answered = time.monotonic()
        done = wait(lambda: follows(environments, address, wanted=wanted), "the switches follow", pause=0)  # noqa: B023
        wait(place.settled, "all have confirmed")
        book.take(_SWITCHED, case, "REST answered", "ms", (answered - began) * 1000)
        book.take(_SWITCHED, case, "seen on every switch", "ms", (done - began) * 1000)
        book.take(_SWITCHED, case, "flow-mods", "", sum(each.flow_mods for each in place.sent().values()) - sent)


def follows(environments: Iterable[dict[str, str]], address: str, *, wanted: bool) -> bool:
    """Whether every hypervisor knows the address as a member's, or none does any more."""
    return all((held(each, f"ip,nw_src={address}") > 0) == wanted for each in environments)


# ── packets ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_PAIRS: Final = {
    "in the default group": {},
    "nobody checks": {"port_security_enabled": False, "security_groups": []},
}


def packets(book: Notebook, place: Bed, rounds: int) -> None:
    """Compare what two pairs of machines get."""
    near, far = place.hosts[:2]
    network = place.network("packets", "10.8.0.0/24")
    addresses = {}
    for number, more in enumerate(_PAIRS.values()):
        for end, host in (("a", near), ("b", far)):
            port = ask(place, "POST", "ports", {"port": {"network_id": network, **more}})["port"]
            place.lab.vm_add(f"{end}{number}", host, port_id=port["id"])
            addresses[f"{end}{number}"] = port["fixed_ips"][0]["ip_address"]
    found: dict[str, dict[str, list[float]]] = {case: {"rtt": [], "tcp": []} for case in _PAIRS}
    for turn in range(rounds):
        order = list(enumerate(_PAIRS))
        for number, case in order if turn % 2 == 0 else reversed(order):
            there = addresses[f"b{number}"]
            found[case]["rtt"].append(rtt(place, f"a{number}", there))
            found[case]["tcp"].append(throughput(place, f"a{number}", f"b{number}", there))
    for case, of_case in found.items():
        book.take(_PACKETS, case, "round trip", "ms", of_case["rtt"])
        book.take(_PACKETS, case, "one TCP", "Mbit/s", of_case["tcp"])
    filtered, free = found.values()
    for name, unit, key in (("round trip", "ms", "rtt"), ("one TCP", "Mbit/s", "tcp")):
        ratios = [mine / theirs for mine, theirs in zip(filtered[key], free[key], strict=True)]
        book.take(_PACKETS, "ratio, turn by turn", name, unit, ratios)


def rtt(place: Bed, source: str, address: str) -> float:
    """The mean of three hundred pings."""
    done = place.lab.run(source, ["ping", "-n", "-q", "-c300", "-i0.01", address])
    return float(mean_of(done.stdout.splitlines()))


def mean_of(lines: Iterable[str]) -> str:
    """The mean in what ``ping -q`` says."""
    return next(line.split("=")[1].split("/")[1] for line in lines if line.startswith("rtt"))


def throughput(place: Bed, source: str, target: str, address: str) -> float:
    """What one TCP carries in three seconds."""
    server = subprocess.Popen(
        place.lab.command(target, ["iperf3", "-s"]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(50):
            done = place.lab.run(source, ["iperf3", "-J", "-t3", "-c", address])
            if done.returncode == 0 and "sum_received" in (end := json.loads(done.stdout)["end"]):
                return float(end["sum_received"]["bits_per_second"]) / 1e6
            time.sleep(0.1)
    finally:
        server.terminate()
        server.wait()
    raise RuntimeError(f"iperf3 does not reach {target}: {done.stdout[-300:]}")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.policy", description=__doc__)
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--changes", type=int, default=100, help="of membership")
    parser.add_argument("--rounds", type=int, default=5, help="of pings and TCP")
    given = parser.parse_args(argv)
    book = Notebook("policy", "What do security groups cost: in flows, for one more member, and for each packet?")
    book.parameters = dict(vars(given))
    decided(book, given.changes)
    quotas = {"quotas": {"port": -1, "security_group_rule": -1}}
    with bed("policy", "linear", {"switches": 2}, quotas) as place:
        packets(book, place, given.rounds)
        switched(book, place, given.members, given.rules, given.changes)
    book.close()


if __name__ == "__main__":
    main()
