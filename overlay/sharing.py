"""May an object be shared with another project, and may that be taken back?

Neutron's RBAC policies with the action ``access_as_shared``.  A share that a foreign port lives by stays.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from overlay.changes import CreateShare, DeleteShare, UpdateShare
from overlay.index import Index
from overlay.qos.values import QosPolicy
from overlay.recording import Recorder
from overlay.refusals import Conflict, NotFound
from overlay.revisions import fresh
from overlay.values import EVERYBODY, Countable, Network, Port, Share, Shareable, SubnetPool


def create_share(index: Index, change: CreateShare, record: Recorder) -> None:
    """Let another project use an object."""
    if change.id in index.shares.by_id:
        raise Conflict(f"id: there is an RBAC policy {change.id} already", field="id")
    if change.object_id not in _kept(index, change.object_type):
        raise NotFound(
            f"object_id: {change.object_type} {change.object_id} could not be found",
            field="object_id",
            kind="RbacPolicyObjectNotFound",
        )
    _check_new(index, change.object_type, change.object_id, change.target_project)
    index.holdings.charge(Countable.RBAC_POLICY, change.project_id)
    record.put_share(
        Share(change.id, change.project_id, change.object_type, change.object_id, change.target_project, record.born())
    )


def update_share(index: Index, change: UpdateShare, record: Recorder) -> None:
    """Let a share be for another project."""
    share = fresh(index.share(change.id), change.expected)
    if change.target_project != share.target_project:
        _check_new(index, share.object_type, share.object_id, change.target_project)
        _check_needless(index, share, change.target_project)
    record.put_share(replace(share, target_project=change.target_project))


def delete_share(index: Index, change: DeleteShare, record: Recorder) -> None:
    """Take a share back."""
    _check_needless(index, fresh(index.share(change.id), change.expected))
    record.drop_share(change.id)


def check_guest(index: Index, network_id: str, project: str) -> None:
    """Check that a network of somebody else's is shared with a project now, whenever whoever asks has looked.

    :raises NotFound: as where there is no such network.
    """
    if not index.shares.reaches(Shareable.NETWORK, network_id, project):
        raise NotFound(f"Network {network_id} could not be found.", field="network_id", kind="NetworkNotFound")


def share_with_everybody(
    index: Index, kind: Shareable, thing: Network | QosPolicy, share_id: str | None, record: Recorder
) -> None:
    """Have an object shared with everybody, or not; shares with single projects stay.

    :param share_id: of the share, if there is none yet; ``None`` takes it back.
    """
    found = index.shares.targets(kind, thing.id).get(EVERYBODY)
    if share_id is None and found is not None:
        delete_share(index, DeleteShare(found), record)
    elif share_id is not None and found is None:
        everybody = CreateShare(share_id, thing.project_id, kind, thing.id, EVERYBODY)
        create_share(index, everybody, record)


def drop_shares(index: Index, kind: Shareable, object_id: str, record: Recorder) -> None:
    """What is shared is about to be no more."""
    for share_id in tuple(index.shares.targets(kind, object_id).values()):
        record.drop_share(share_id)


def _check_new(index: Index, kind: Shareable, object_id: str, target: str) -> None:
    if target in index.shares.targets(kind, object_id):
        raise Conflict(
            f"target_tenant: {kind} {object_id} is shared with {target} already",
            field="target_tenant",
            kind="RbacPolicyExists",
        )


def _check_needless(index: Index, share: Share, *instead: str) -> None:
    """No port may live by this share, nor a network by a policy; pools are only used when a subnet is cut.

    :param instead: with whom the object will be shared by it from now on.
    """
    left = {*index.shares.targets(share.object_type, share.object_id), *instead} - {share.target_project}
    owner = _kept(index, share.object_type)[share.object_id].project_id
    for tenant in _tenants(index, share):
        if tenant != owner and share.target_project in {tenant, EVERYBODY} and not _reached(tenant, left):
            raise Conflict(
                f"RBAC policy on object {share.object_id} cannot be removed because other objects depend on it:"
                f" project {tenant} uses it",
                field="target_tenant",
                kind="RbacPolicyInUse",
            )


def _kept(index: Index, kind: Shareable) -> Mapping[str, Network | SubnetPool | QosPolicy]:
    """All objects of a kind."""
    if kind is Shareable.NETWORK:
        return index.networks
    return index.subnetpools if kind is Shareable.SUBNETPOOL else index.qos.by_id


def _tenants(index: Index, share: Share) -> Iterable[str]:
    """The projects that live by an object, its owner among them."""
    if share.object_type is Shareable.NETWORK:
        return index.tenants_of[share.object_id]
    if share.object_type is Shareable.SUBNETPOOL:
        return ()
    kinds: dict[str, Mapping[str, Network | Port]] = {"network": index.networks, "port": index.ports}
    return {kinds[kind][id_].project_id for kind, id_ in index.qos.users(share.object_id)}


def _reached(tenant: str, targets: Container[str]) -> bool:
    return tenant in targets or EVERYBODY in targets
