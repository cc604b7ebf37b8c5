"""What becomes of what the operator says: a policy, maintenance, a link's weight, a switch that is gone for good?

Everything that makes no sense is refused before anything changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, assert_never

from controller.fabric import documents
from controller.fabric.changes import Effect, LinkTuned, Order, PolicyChosen, SwitchForgotten, SwitchMaintained
from controller.fabric.known import Known, Touched
from controller.fabric.policies import PATHS_MAX, policy_named
from controller.fabric.routes import Link
from controller.fabric.upkeep import UNTUNED, Tuning, cut_off
from overlay.refusals import Conflict, Invalid, NotFound
from overlay.values import DatapathId

_NOTHING: Final = Effect()


class Orders(Known):
    """What is known of the fabric, and follows its operator."""

    def _ordered(self, order: Order, now: float) -> Effect:
        match order:
            case SwitchForgotten(datapath_id):
                return self._forgotten(datapath_id, now)
            case PolicyChosen(name, paths):
                return self._policy_chosen(name, paths)
            case SwitchMaintained():
                return self._maintained(order, now)
            case LinkTuned():
                return self._tuned(order, now)
            case _:
                assert_never(order)

    def _forgotten(self, datapath_id: DatapathId, now: float) -> Effect:
        switch = self.switches.get(datapath_id)
        if switch is None:
            raise NotFound(f"no fabric switch {datapath_id} is known", field="datapath_id", kind="SwitchNotFound")
        if switch.connected_since is not None:
            raise Conflict(
                f"fabric switch {datapath_id} is connected: it would be back at once",
                field="datapath_id",
                kind="SwitchInUse",
            )
        touched = Touched(routes=True, documents=[documents.no_switch(datapath_id)])
        if datapath_id in self.upkeep.switches:
            self.upkeep.switches.discard(datapath_id)
            touched.documents.append(documents.of_maintenance(datapath_id, on=False))
        for link in [link for link in self.upkeep.links if datapath_id in {end.datapath_id for end in link}]:
            del self.upkeep.links[link]
            touched.documents.append(documents.of_tuning(link, UNTUNED))
        for known in tuple(self.cables):
            if datapath_id in {known.source.datapath_id, known.target.datapath_id}:
                touched.switches |= {known.source.datapath_id, known.target.datapath_id}
                touched.cables |= self.cables.drop(known.source)
        for la in tuple(self.hosts_at(datapath_id)):
            self._drop_host(la, touched)
        touched.switches.discard(datapath_id)
        effect = self._finish(touched, now)
        self.graph.remove_node(datapath_id)
        self.routes.update([(datapath_id, datapath_id)])
        self._steering = None
        self._usable.pop(datapath_id, None)
        del self.switches[datapath_id]
        return replace(effect, switches=effect.switches - {datapath_id})

    def _policy_chosen(self, name: str, paths: int) -> Effect:
        policy = policy_named(name)
        if not 1 <= paths <= PATHS_MAX:
            raise Invalid(f"paths: {paths} is outside 1 … {PATHS_MAX}", field="paths")
        if (policy, paths) == (self.policy, self.paths):
            return _NOTHING
        self._follow(policy, paths)
        return Effect(routes=True, documents=(documents.of_policy(name, paths),))

    def _maintained(self, change: SwitchMaintained, now: float) -> Effect:
        if change.datapath_id not in self.switches:
            raise NotFound(
                f"no fabric switch {change.datapath_id} is known", field="datapath_id", kind="SwitchNotFound"
            )
        if (change.datapath_id in self.upkeep.switches) == change.on:
            return _NOTHING
        if change.on:
            self._keep_together({change.datapath_id}, set(), force=change.force)
            self.upkeep.switches.add(change.datapath_id)
        else:
            self.upkeep.switches.discard(change.datapath_id)
        touched = Touched(documents=[documents.of_maintenance(change.datapath_id, on=change.on)])
        touched.wiring.add(change.datapath_id)
        return self._finish(touched, now)

    def _tuned(self, change: LinkTuned, now: float) -> Effect:
        link = self.link_at(change.end)
        before = self.upkeep.tuning(link)
        capacity = before.capacity_mbps if change.capacity_mbps is None else change.capacity_mbps
        after = Tuning(
            before.weight if change.weight is None else change.weight,
            None if capacity == 0 else capacity,
            before.maintenance if change.maintenance is None else change.maintenance,
        )
        if after == before:
            return _NOTHING
        if after.maintenance and not before.maintenance:
            self._keep_together(set(), {link}, force=change.force)
        self.upkeep.links[link] = after
        if after == UNTUNED:
            del self.upkeep.links[link]
        touched = Touched(documents=[documents.of_tuning(link, after)])
        touched.wiring |= {end.datapath_id for end in link}
        return self._finish(touched, now)

    def _keep_together(self, switches: set[DatapathId], links: set[Link], *, force: bool) -> None:
        """Refuse to part hosts that reach each other now, unless they would be parted anyway.

        :raises Conflict: naming the hosts.
        """
        staying = self.switches.keys() - self.upkeep.switches
        lost = cut_off(
            [link for link in self.links() if not self.upkeep.avoids(link)],
            {switch: len(self.hosts_at(switch)) for switch in staying if self.hosts_at(switch)},
            without_switches=switches,
            without_links=links,
        )
        parted = sorted(la for edge in lost for la in self.hosts_at(edge))
        if parted and not force:
            raise Conflict(
                f"maintenance would cut off {', '.join(map(str, parted))}; force it if that is meant",
                field="maintenance",
                kind="HostsWouldBeCutOff",
            )
