"""Every topology carries two tenants with the same addresses, each for itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import permutations

import networkx as nx
import pytest

from tests.e2e.scene import Ears, Scene, ipv4, mac_number, say, wait
from tests.model import frames
from topologies.client import LabClient
from topologies.graphs import AnyGraph

pytestmark = pytest.mark.root

SHAPES: dict[str, tuple[str, dict[str, str | float | Callable[[], AnyGraph] | None]]] = {
    "vl2": ("vl2", {"intermediates": 2, "aggregations": 3, "tors": 3}),
    "leafspine": ("leafspine", {"spines": 2, "leaves": 3}),
    "fattree": ("fattree", {"k": 4}),
    "ring": ("ring", {"switches": 4}),
    "linear": ("linear", {"switches": 3}),
    "jellyfish": ("jellyfish", {"switches": 6, "degree": 3, "seed": 7}),
    "petersen": ("graphml", {"source": nx.petersen_graph, "edges": "s1,s4,s8"}),
    "grid": ("graphml", {"source": lambda: nx.grid_2d_graph(3, 3), "edges": "s1,s5,s9"}),
    "scale-free tree": ("graphml", {"source": lambda: nx.barabasi_albert_graph(7, 1, seed=3), "edges": "s1,s4,s7"}),
}
PROJECTS = ("red", "blue")
MACHINES = 3
MARKER = {project: f"vl2-from-{project}".encode() for project in PROJECTS}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A lab of each shape, with as many machines of two tenants on the same three hypervisors."""
    topology, params = SHAPES[request.param]
    lab = LabClient(f"e2e-{os.getpid()}-{request.param.replace(' ', '-')}")
    try:
        lab.up(topology, {key: each() if callable(each) else each for key, each in params.items()}, rest_port=0)
        scene = Scene(lab)
        wait(scene.all_connected, "all switches are connected")
        hosts = [each.name for each in lab.status().hypervisors]
        chosen = [hosts[0], hosts[len(hosts) // 2], hosts[-1]]
        for project in PROJECTS:
            net = scene.network(project)
            for number, host in enumerate(chosen, start=1):
                mac = f"02:00:00:00:00:{number:02x}"
                scene.vm(f"{project}{number}", host, net, mac=mac, ips=[f"192.168.0.1{number}"])
        yield scene
    finally:
        lab.down()


def test_tenants_reach_themselves_and_nobody_else(shape: Scene) -> None:
    """Each machine reaches every one of its tenant, and no frame of the other tenant arrives at any machine."""
    vms = shape.vms()
    with Ears(shape.lab, *vms, interfaces=("eth0",)) as ears:
        for project in PROJECTS:
            for one, other in permutations(range(1, MACHINES + 1), 2):
                assert shape.reaches(f"{project}{one}", f"192.168.0.1{other}"), (project, one, other)
        ears.hear(0.1)
        for project in PROJECTS:
            own = {name: vm for name, vm in vms.items() if name.startswith(project)}
            for vm in own.values():
                for peer in own.values():
                    if peer is not vm:
                        address = peer.addresses[0].partition("/")[0]
                        say(vm, ipv4(vm, mac_number(peer.mac), address, MARKER[project]))
                say(vm, ipv4(vm, frames.BROADCAST, "192.168.0.255", MARKER[project]))
                say(vm, ipv4(vm, 0x02_00_00_00_00_77, "192.168.0.99", MARKER[project]))
        heard = [each for each in ears.hear(0.5, 5) if not each.outgoing]
    for name in vms:
        project = name.rstrip("0123456789")
        carried = [
            marker_of for each in heard if each.node == name for marker_of in PROJECTS if sent_by(marker_of, each.frame)
        ]
        # From each of the two others: one for it alone, one for all, one for nobody.
        assert carried == [project] * 3 * (MACHINES - 1), name


def sent_by(project: str, frame: bytes) -> bool:
    """Whether a frame is one of a tenant's, and not an answer that quotes it."""
    return frame.endswith(MARKER[project]) and frame[23] == 253
