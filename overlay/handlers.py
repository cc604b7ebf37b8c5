"""Who does each change?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from overlay import membership, placement, quotas, sharing, subnetpools, subnets, tags, tenancy
from overlay.changes import (
    Activate,
    Announced,
    BindPassive,
    Confirmed,
    CreateNetwork,
    CreatePort,
    CreateShare,
    CreateSubnet,
    CreateSubnetPool,
    DeleteNetwork,
    DeletePort,
    DeleteShare,
    DeleteSubnet,
    DeleteSubnetPool,
    HostBack,
    HostHeard,
    HostLost,
    HostSeen,
    HostSilent,
    HostSnapshot,
    Plugged,
    ResetQuota,
    Sent,
    SetQuota,
    SetTags,
    Tick,
    Unbind,
    Unplugged,
    UpdateNetwork,
    UpdatePort,
    UpdateShare,
    UpdateSubnet,
    UpdateSubnetPool,
)
from overlay.direct import cables
from overlay.direct.changes import EdgeSnapshot, Unwired, Wired
from overlay.evacuation import keeping as evacuation
from overlay.evacuation.changes import EndEvacuation, Evacuate
from overlay.index import Index
from overlay.mirrors import changes as mirrors
from overlay.mirrors import intents as mirroring
from overlay.multicast import memberships
from overlay.multicast.changes import Joined, Left
from overlay.policy import changes as policy
from overlay.policy import groups, rules
from overlay.qos import intents as qos
from overlay.qos.changes import (
    AddQosRule,
    CreateQosPolicy,
    DeleteQosPolicy,
    DeleteQosRule,
    UpdateQosPolicy,
    UpdateQosRule,
)
from overlay.recording import Recorder
from overlay.trunks import intents as trunks
from overlay.trunks.changes import AddSubPorts, CreateTrunk, DeleteTrunk, RemoveSubPorts, UpdateTrunk


def _tick(index: Index, _change: Tick, record: Recorder) -> None:
    record.touch(index.moves)
    evacuation.steps(index, record)
    memberships.expire(index, record)


HANDLERS: Final[Mapping[type, Callable[[Index, Any, Recorder], None]]] = {
    CreateNetwork: tenancy.create_network,
    UpdateNetwork: tenancy.update_network,
    DeleteNetwork: tenancy.delete_network,
    CreateSubnet: subnets.create_subnet,
    UpdateSubnet: subnets.update_subnet,
    DeleteSubnet: subnets.delete_subnet,
    CreatePort: placement.create_port,
    UpdatePort: placement.update_port,
    DeletePort: placement.delete_port,
    CreateSubnetPool: subnetpools.create_subnetpool,
    UpdateSubnetPool: subnetpools.update_subnetpool,
    DeleteSubnetPool: subnetpools.delete_subnetpool,
    CreateShare: sharing.create_share,
    UpdateShare: sharing.update_share,
    DeleteShare: sharing.delete_share,
    CreateQosPolicy: qos.create_qos_policy,
    UpdateQosPolicy: qos.update_qos_policy,
    DeleteQosPolicy: qos.delete_qos_policy,
    AddQosRule: qos.add_rule,
    UpdateQosRule: qos.update_rule,
    DeleteQosRule: qos.delete_rule,
    SetTags: tags.set_tags,
    SetQuota: quotas.set_quota,
    ResetQuota: quotas.reset_quota,
    BindPassive: placement.bind_passive,
    Activate: placement.activate,
    Unbind: placement.unbind,
    Evacuate: evacuation.evacuate,
    EndEvacuation: evacuation.end_evacuation,
    policy.CreateSecurityGroup: groups.create_group,
    policy.MakeDefaultGroup: groups.make_default_group,
    policy.UpdateSecurityGroup: groups.update_group,
    policy.DeleteSecurityGroup: groups.delete_group,
    policy.CreateSecurityRule: rules.create_rule,
    policy.CreateSecurityRules: rules.create_rules,
    policy.DeleteSecurityRule: rules.delete_rule,
    policy.CreateAddressGroup: groups.create_address_group,
    policy.UpdateAddressGroup: groups.update_address_group,
    policy.DeleteAddressGroup: groups.delete_address_group,
    CreateTrunk: trunks.create_trunk,
    UpdateTrunk: trunks.update_trunk,
    DeleteTrunk: trunks.delete_trunk,
    AddSubPorts: trunks.add_sub_ports,
    RemoveSubPorts: trunks.remove_sub_ports,
    mirrors.CreateTapService: mirroring.create_service,
    mirrors.UpdateTapService: mirroring.update_service,
    mirrors.DeleteTapService: mirroring.delete_service,
    mirrors.CreateTapFlow: mirroring.create_flow,
    mirrors.UpdateTapFlow: mirroring.update_flow,
    mirrors.DeleteTapFlow: mirroring.delete_flow,
    HostSeen: membership.seen,
    HostSnapshot: placement.snapshot,
    Plugged: placement.plugged,
    Unplugged: placement.unplugged,
    HostSilent: membership.silent,
    HostHeard: membership.heard,
    HostLost: membership.lost,
    HostBack: membership.back,
    Announced: placement.announced,
    Sent: membership.sent,
    Confirmed: membership.confirmed,
    Tick: _tick,
    Joined: memberships.joined,
    Left: memberships.left,
    EdgeSnapshot: cables.snapshot,
    Wired: cables.wired,
    Unwired: cables.unwired,
}
"""Each checks everything before it changes anything."""
