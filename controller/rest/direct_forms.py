"""In which JSON does the operator say where a machine is wired to an edge switch, and see it?

``binding:vnic_type`` and ``binding:profile`` as Ironic and Neutron write them: one entry of ``local_link_information``
names the edge switch and its interface, ``vlan`` the tag; a virtual function's ``pci_slot`` and ``physical_network``
are kept and shown.  Of a machine that a hypervisor plugs, what Nova notes there in the course of a live migration
(:class:`NovaWish`) is kept and shown as well.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, StrictBool, model_validator

from controller.rest.access import require_operator_for
from controller.rest.errors import bad_request
from controller.rest.fields import Body, Count, HostText, Maybe, Shown, refused
from overlay.direct.changes import Attach
from overlay.direct.values import VIDS
from overlay.values import LocalLink, Port, Profile, VnicType

Kind: TypeAlias = Literal["normal", "direct", "baremetal"]

_TEXT_MOST: Final = 255
_Text = Annotated[str, Field(min_length=1, max_length=_TEXT_MOST)]


class LinkWish(Body):
    """An interface of an edge switch."""

    switch_info: Maybe[_Text] = Field(None, description="The name by which the edge switch joined.")
    switch_id: Maybe[_Text] = Field(None, description="Or its name or the datapath id of its br-vtep.")
    port_id: _Text = Field(description="The interface, by name or OpenFlow number.")

    @model_validator(mode="after")
    def _one_switch(self) -> LinkWish:
        if self.switch_info is None and self.switch_id is None:
            raise refused("names no edge switch: neither switch_info nor switch_id")
        return self

    @property
    def switch(self) -> str:
        """The edge switch, however it was said; its name goes before an id, which may be a hardware address."""
        return self.switch_info or self.switch_id or ""


class NovaWish(Body):
    """What Nova notes at a binding in the course of a live migration; nothing follows from it here."""

    migrating_to: Maybe[HostText] = Field(None, description="Where the machine is about to go.")
    os_vif_delegation: Maybe[StrictBool] = Field(None, description="Whether os-vif makes the interface.")

    @property
    def noted(self) -> Profile:
        """What is to be kept."""
        return tuple((name, getattr(self, name)) for name in sorted(_NOTED & self.model_fields_set))


class ProfileWish(NovaWish):
    """Where a machine is wired to, nothing of it for a machine that is not; and what Nova notes."""

    local_link_information: list[LinkWish] = Field(default_factory=list, max_length=1)
    vlan: Annotated[Count, Field(ge=VIDS.start, lt=VIDS.stop)] = Field(0, description="0 for frames without a tag.")
    pci_slot: Annotated[str, Field(max_length=_TEXT_MOST)] = ""
    physical_network: Annotated[str, Field(max_length=_TEXT_MOST)] = ""

    @model_validator(mode="after")
    def _whole(self) -> ProfileWish:
        if not self.local_link_information and self.model_fields_set - {"local_link_information"} - _NOTED:
            raise refused(
                "needs local_link_information: without an edge switch and its interface it is unknown where the"
                " machine is"
            )
        return self


class LinkShown(Shown):
    """An interface of an edge switch."""

    switch_info: str
    switch_id: str
    port_id: str


class ProfileShown(Shown):
    """Where a machine is wired to, and what Nova notes."""

    migrating_to: Maybe[str] = None
    os_vif_delegation: Maybe[bool] = None

    local_link_information: Maybe[list[LinkShown]] = None
    vlan: Maybe[int] = None
    pci_slot: Maybe[str] = None
    physical_network: Maybe[str] = None


_NOTED: Final = frozenset(NovaWish.model_fields)


def attach(kind: Kind | None, profile: ProfileWish | None, port: Port | None = None) -> Attach | None:
    """How a port is to reach its machine; ``None`` where nothing was said about it.

    :param port: as it is, which says what was left out.
    :raises Forbidden: for anybody but the operator.
    """
    if kind is None and profile is None:
        return None
    vnic_type = VnicType(kind) if kind is not None else VnicType.NORMAL if port is None else port.vnic_type
    if vnic_type is not (VnicType.NORMAL if port is None else port.vnic_type):
        require_operator_for("binding:vnic_type", vnic_type)
    if profile is None:
        kept = None if port is None or vnic_type is VnicType.NORMAL else port.local_link
        return _again(vnic_type, kept)
    if not profile.local_link_information:
        return Attach(vnic_type)
    if vnic_type is VnicType.NORMAL:
        raise bad_request(
            "binding:profile", "of binding:vnic_type normal it names no edge switch: a hypervisor plugs the port"
        )
    link = profile.local_link_information[0]
    return Attach(vnic_type, link.switch, link.port_id, profile.vlan, profile.pci_slot, profile.physical_network)


def _again(vnic_type: VnicType, link: LocalLink | None) -> Attach:
    if link is None:
        return Attach(vnic_type)
    return Attach(vnic_type, link.switch, link.interface, link.vid, link.pci_slot, link.physical_network)


def profile(port: Port) -> dict[str, object]:
    """Show where a port is wired to, and what Nova notes at its active binding."""
    link = port.local_link
    if link is None:
        return dict(port.profile)
    found: dict[str, object] = {
        **dict(port.profile),
        "local_link_information": [
            {"switch_info": str(link.switch), "switch_id": str(link.switch), "port_id": link.interface}
        ],
        "vlan": link.vid,
    }
    texts = {"pci_slot": link.pci_slot, "physical_network": link.physical_network}
    return found | {name: text for name, text in texts.items() if text}


def vif_type(port: Port) -> str:
    """Neutron's word for what the machine's host has to do to plug a port: nothing, where it is wired."""
    if port.host is None:
        return "unbound"
    return {VnicType.NORMAL: "ovs", VnicType.DIRECT: "hw_veb", VnicType.BAREMETAL: "other"}[port.vnic_type]


def vif_details(port: Port) -> dict[str, bool | str]:
    """What Nova wants to know to plug a port: our switch filters, and which bridge or VLAN to plug into."""
    if port.host is None:
        return {}
    if port.local_link is not None:
        return {"port_filter": True, "vlan": str(port.local_link.vid), "connectivity": "l2"}
    return {"port_filter": True, "bridge_name": "br-int", "connectivity": "l2"}
