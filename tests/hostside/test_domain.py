"""The ports of a libvirt domain are read from its XML, and nothing that could harm."""

from __future__ import annotations

import pytest

from hostside.domain import LIMIT, port_ids
from hostside.errors import HostsideError
from tests.hostside.domains import ONE, OTHER, domain


def test_a_domain_of_libvirt() -> None:
    """The ids of Open vSwitch ports are found in their order; other interfaces, disks and networks have none."""
    assert port_ids(domain(ONE, OTHER)) == (ONE, OTHER)
    assert port_ids(domain()) == ()
    assert port_ids(domain(ONE, ONE)) == (ONE,)


def test_an_id_of_something_else() -> None:
    """A virtual port of another kind, or outside of the domain's interfaces, is not ours."""
    other = f"<virtualport type='802.1Qbg'><parameters interfaceid='{ONE}'/></virtualport>"
    xml = f"<domain><devices><interface type='direct'>{other}</interface></devices></domain>"
    assert port_ids(xml.encode()) == ()
    ours = f"<interface><virtualport type='openvswitch'><parameters interfaceid='{ONE}'/></virtualport></interface>"
    assert port_ids(f"<domain><metadata><devices>{ours}</devices></metadata></domain>".encode()) == ()
    assert port_ids(f"<domain><devices>{ours}</devices></domain>".encode()) == (ONE,)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"", "cannot be read: no element found"),
        (b"<domain><devices>", "cannot be read"),
        (b"<network/>", "not a domain's but a network's"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b'<!DOCTYPE domain [<!ENTITY a "b">]><domain>&a;</domain>', "has a DTD"),
        (b'<!DOCTYPE domain SYSTEM "file:///etc/passwd"><domain/>', "has a DTD"),
        (b"<domain>&a;</domain>", "cannot be read: undefined entity"),
        (b" " * (LIMIT + 1), "longer than"),
    ],
)
def test_what_is_no_domain(xml: bytes, reason: str) -> None:
    """What libvirt does not write is refused: no entity is expanded, no file is opened."""
    with pytest.raises(HostsideError, match=reason):
        port_ids(xml)
