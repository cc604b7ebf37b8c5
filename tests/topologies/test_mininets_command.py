"""Can Mininet's own command build our topologies with its ordinary classes?"""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from pathlib import Path

from mininet.util import buildTopo

from topologies.registry import TOPOLOGIES

CUSTOM = Path(__file__).resolve().parents[2] / "topologies" / "custom.py"


def topos() -> dict:
    """What ``mn --custom`` finds in our file: it executes the text, with no ``__file__`` (bin/mn, parseCustomFile)."""
    found: dict = {}
    exec(compile(CUSTOM.read_text(), str(CUSTOM), "exec"), found, found)  # noqa: S102
    return found["topos"]


@pytest.mark.parametrize(
    ("words", "switches", "hosts"),
    [
        ("vl2", 10, 4),
        ("vl2,3,3,4", 10, 4),
        ("vl2,2,2,3,2", 7, 6),
        ("leafspine,2,3", 5, 3),
        ("fattree,4", 20, 8),
        ("ring,switches=5,bw=10", 5, 5),
        ("linear,3", 3, 3),
        ("jellyfish,6,3,9", 6, 6),
    ],
)
def test_mn_builds_what_topo_says(words, switches, hosts):
    """``mn --custom topologies/custom.py --topo NAME,…`` gives the topology with these parameters."""
    topo = buildTopo(topos(), words)
    assert (len(topo.switches()), len(topo.hosts())) == (switches, hosts)


def test_mn_builds_a_graphml_file(tmp_path):
    """The graphml topology takes its file by ``--topo graphml,FILE``."""
    path = tmp_path / "pair.graphml"
    path.write_text(
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected">'
        '<node id="Oslo"/><node id="Bergen"/><edge source="Oslo" target="Bergen"/></graph></graphml>'
    )
    topo = buildTopo(topos(), f"graphml,{path}")
    assert [topo.nodeInfo(name)["label"] for name in topo.switches()] == ["Oslo", "Bergen"]


def test_the_file_needs_no_networkx():
    """Mininet's command may run with an interpreter without networkx; plain topologies work there."""
    program = (
        "import sys, warnings; warnings.simplefilter('ignore'); sys.modules['networkx'] = None; found = {}; "
        f"exec(compile(open({str(CUSTOM)!r}).read(), {str(CUSTOM)!r}, 'exec'), found); "
        "print(len(found['topos']['vl2']().switches()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "10", done.stderr


def test_every_registered_topology_is_offered():
    """The file's ``topos`` has the registered names."""
    assert list(topos()) == list(TOPOLOGIES)
