"""Which prefixes does a subnet pool have, and which piece of them may a subnet be?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import collapse_addresses
from typing import Final

from overlay.changes import (
    CreateSubnet,
    CreateSubnetPool,
    DeleteSubnetPool,
    Document,
    DocumentKind,
    Unchanged,
    UpdateSubnetPool,
)
from overlay.index import Index
from overlay.recording import Recorder
from overlay.refusals import Conflict, Exhausted, Invalid
from overlay.revisions import fresh
from overlay.sharing import drop_shares
from overlay.values import Countable, IpNetwork, Shareable, SubnetPool

_LEAST: Final = {4: 8, 6: 64}
"""Neutron's shortest prefix of a subnet, by IP version, where a pool does not name one."""
_QUOTA_UNIT: Final = {4: 32, 6: 64}
"""The length of the prefixes that a quota counts."""


def create_subnetpool(index: Index, change: CreateSubnetPool, record: Recorder) -> None:
    """Make a pool of prefixes."""
    if change.id in index.subnetpools:
        raise Conflict(f"id: there is a subnet pool {change.id} already", field="id")
    prefixes = _merged(change.prefixes)
    version = prefixes[0].version
    least = _LEAST[version] if change.min_prefixlen is None else change.min_prefixlen
    pool = SubnetPool(
        change.id,
        change.project_id,
        change.name,
        prefixes,
        least if change.default_prefixlen is None else change.default_prefixlen,
        least,
        prefixes[0].max_prefixlen if change.max_prefixlen is None else change.max_prefixlen,
        change.shared,
        change.is_default,
        change.default_quota,
        change.description,
        record.born(change.tags),
    )
    _check(index, pool)
    index.holdings.charge(Countable.SUBNETPOOL, change.project_id)
    record.put_subnetpool(pool)


def update_subnetpool(index: Index, change: UpdateSubnetPool, record: Recorder) -> None:
    """Change a pool; it may grow but not shrink."""
    pool = fresh(index.subnetpool(change.id), change.expected)
    prefixes = pool.prefixes if change.prefixes is None else _merged(change.prefixes)
    for prefix in pool.prefixes:
        if not any(_within(prefix, other) for other in prefixes):
            raise Invalid(
                f"prefixes: {prefix} was left out, but a pool can only grow",
                field="prefixes",
                kind="IllegalSubnetPoolPrefixUpdate",
            )
    pool = replace(
        pool,
        name=pool.name if change.name is None else change.name,
        prefixes=prefixes,
        default_prefixlen=pool.default_prefixlen if change.default_prefixlen is None else change.default_prefixlen,
        min_prefixlen=pool.min_prefixlen if change.min_prefixlen is None else change.min_prefixlen,
        max_prefixlen=pool.max_prefixlen if change.max_prefixlen is None else change.max_prefixlen,
        is_default=pool.is_default if change.is_default is None else change.is_default,
        default_quota=pool.default_quota if isinstance(change.default_quota, Unchanged) else change.default_quota,
        description=pool.description if change.description is None else change.description,
    )
    _check(index, pool)
    record.put_subnetpool(pool)


def delete_subnetpool(index: Index, change: DeleteSubnetPool, record: Recorder) -> None:
    """Remove a pool of which no subnet was cut, and the shares of it."""
    fresh(index.subnetpool(change.id), change.expected)
    if len(index.cuts[change.id]):
        raise Conflict(
            f"subnet pool {change.id}: {len(index.cuts[change.id])} subnets were cut of it",
            field="subnetpool_id",
            kind="SubnetPoolInUse",
        )
    drop_shares(index, Shareable.SUBNETPOOL, change.id, record)
    index.drop_subnetpool(change.id)
    record.store(Document(DocumentKind.SUBNETPOOL, change.id, None))


def _merged(prefixes: Iterable[IpNetwork]) -> tuple[IpNetwork, ...]:
    given = tuple(prefixes)
    if len({prefix.version for prefix in given}) != 1:
        raise Invalid(
            "prefixes: a pool has at least one, and all of them are of one IP version",
            field="prefixes",
            kind="InvalidInput",
        )
    return tuple(collapse_addresses(given))  # type: ignore[type-var]


def _within(piece: IpNetwork, whole: IpNetwork) -> bool:
    return piece.version == whole.version and piece.subnet_of(whole)  # type: ignore[arg-type]


def _check(index: Index, pool: SubnetPool) -> None:
    if not 0 <= pool.min_prefixlen <= pool.default_prefixlen <= pool.max_prefixlen <= pool.prefixes[0].max_prefixlen:
        raise Invalid(
            f"default_prefixlen: min_prefixlen {pool.min_prefixlen}, default_prefixlen {pool.default_prefixlen} and"
            f" max_prefixlen {pool.max_prefixlen} are not in order from 0 to {pool.prefixes[0].max_prefixlen}",
            field="default_prefixlen",
            kind="InvalidInput",
        )
    if pool.default_quota is not None and pool.default_quota < 0:
        raise Invalid(
            f"default_quota: {pool.default_quota} is not a number of addresses",
            field="default_quota",
            kind="InvalidInput",
        )
    default = index.default_pools.get(pool.prefixes[0].version, pool.id)
    if pool.is_default and default != pool.id:
        raise Conflict(
            f"is_default: subnet pool {default} is the default one of this IP version already",
            field="is_default",
            kind="DefaultSubnetPoolExists",
        )


def cut(index: Index, change: CreateSubnet, pool: SubnetPool) -> IpNetwork:
    """The prefix of a subnet to be, of a pool: the one asked for, or the first that fits; takes nothing yet.

    :raises Refusal: ``MinPrefixSubnetAllocationError``, ``MaxPrefixSubnetAllocationError``,
        ``SubnetAllocationError``, ``SubnetPoolQuotaExceeded``.
    """
    if change.cidr is not None:
        length = change.cidr.prefixlen
    else:
        length = pool.default_prefixlen if change.prefixlen is None else change.prefixlen
    for wrong, limit, name in (
        (length < pool.min_prefixlen, pool.min_prefixlen, "Min"),
        (length > pool.max_prefixlen, pool.max_prefixlen, "Max"),
    ):
        if wrong:
            raise Invalid(
                f"Unable to allocate subnet with prefix length {length}, {name.lower()}imum allowed prefix is {limit}.",
                field="prefixlen",
                kind=f"{name}PrefixSubnetAllocationError",
            )
    cuts = index.cuts[pool.id]
    version = pool.prefixes[0].version
    if pool.default_quota is not None:
        allowed = pool.default_quota << pool.prefixes[0].max_prefixlen - _QUOTA_UNIT[version]
        if cuts.held(change.project_id) + (1 << pool.prefixes[0].max_prefixlen - length) > allowed:
            raise Conflict(
                "Per-tenant subnet pool prefix quota exceeded.", field="subnetpool_id", kind="SubnetPoolQuotaExceeded"
            )
    if change.cidr is None:
        found = cuts.first_fit(pool.prefixes, length)
    else:
        inside = any(_within(change.cidr, prefix) for prefix in pool.prefixes)
        found = change.cidr if inside and cuts.is_free(change.cidr) else None
    if found is None:
        wanted = f"a prefix of length {length}" if change.cidr is None else change.cidr
        raise Exhausted(
            f"Failed to allocate subnet: subnet pool {pool.id} has not {wanted} left.",
            field="subnetpool_id",
            kind="SubnetAllocationError",
        )
    return found
