"""Use one part of the Networking API through openstacksdk, and print what came of it: ``sdk_tour.py PART``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import openstack
from openstack import exceptions

conn = openstack.connect()
net = conn.network
Facts = dict[str, Any]


def trying(what: Callable[[], Any]) -> list[Any]:
    """The SDK's exception that something ends in, its status and text."""
    try:
        what()
    except exceptions.HttpException as error:
        return [type(error).__name__, error.status_code, error.details or str(error)]
    return ["nothing", 0, ""]


def names(found: Any) -> list[str]:
    """The names of what is listed."""
    return [each.name for each in found]


def networks() -> Facts:
    """Make, find, list, change and delete networks."""
    made = net.create_network(name="one", description="d", mtu=1400, is_admin_state_up=True)
    same = net.get_network(made.id) == made
    changed = net.update_network(made.id, description="e", is_admin_state_up=False)
    net.create_network(name="two")
    facts = {
        "made": [made.name, made.description, made.mtu, made.is_admin_state_up, made.status, made.is_shared],
        "same": same,
        "times": made.created_at.endswith("Z") and made.updated_at.endswith("Z"),
        "changed": [changed.description, changed.is_admin_state_up, changed.revision_number > made.revision_number],
        "found": [net.find_network("one").id == made.id, net.find_network(made.id).id == made.id],
        "missing": net.find_network("three"),
        "all": names(net.networks()),
        "down": names(net.networks(is_admin_state_up=False)),
        "named": names(net.networks(name="two")),
        "shared": names(net.networks(is_shared=True)),
        "sorted": names(net.networks(sort_key="name", sort_dir="desc")),
        "fields": sorted(name for name, value in next(net.networks(fields=["name"])).to_dict().items() if value),
    }
    for each in net.networks():
        net.delete_network(each)
    return {**facts, "left": names(net.networks())}


def subnets() -> Facts:
    """Make, find, list, change and delete subnets and the pools that they are cut of."""
    one = net.create_network(name="one")
    made = net.create_subnet(
        network_id=one.id,
        name="four",
        ip_version=4,
        cidr="10.0.0.0/24",
        gateway_ip="10.0.0.254",
        is_dhcp_enabled=False,
        dns_nameservers=["192.0.2.1"],
        host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.5"}],
        allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}],
    )
    six = net.create_subnet(
        network_id=one.id,
        name="six",
        ip_version=6,
        cidr="2001:db8::/64",
        gateway_ip=None,
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    option = {"opt_name": "mtu", "opt_value": "1400"}
    told = net.create_port(network_id=one.id, name="told", extra_dhcp_opts=[option])
    untold = net.update_port(told.id, extra_dhcp_opts=[{**option, "opt_value": None}])
    changed = net.update_subnet(made.id, gateway_ip="10.0.0.1", dns_nameservers=[], name="4")
    pool = net.create_subnet_pool(name="pool", prefixes=["10.64.0.0/16"], default_prefix_length=26)
    grown = net.update_subnet_pool(pool, prefixes=["10.64.0.0/16", "10.66.0.0/16"], default_prefix_length=27)
    cut = net.create_subnet(network_id=one.id, name="cut", ip_version=4, subnet_pool_id=pool.id)
    facts = {
        "made": [made.cidr, made.gateway_ip, made.is_dhcp_enabled, made.dns_nameservers, made.allocation_pools],
        "routes": made.host_routes,
        "six": [six.ip_version, six.gateway_ip, six.ipv6_ra_mode],
        "told": [told.extra_dhcp_opts, untold.extra_dhcp_opts],
        "changed": [changed.gateway_ip, changed.dns_nameservers, changed.name],
        "found": net.find_subnet("4").id == made.id,
        "of six": names(net.subnets(ip_version=6)),
        "of the network": names(net.subnets(network_id=one.id)),
        "of the pool": names(net.subnets(subnet_pool_id=pool.id)),
        "pool": [grown.default_prefix_length, len(grown.prefixes), net.find_subnet_pool("pool").id == pool.id],
        "cut": [cut.cidr.endswith("/27"), cut.subnet_pool_id == pool.id],
        "network": sorted(net.get_network(one.id).subnet_ids) == sorted([made.id, six.id, cut.id]),
        "in use": trying(lambda: net.delete_subnet_pool(pool, ignore_missing=False))[:2],
    }
    net.delete_port(told)
    net.delete_network(one)
    net.delete_subnet_pool(pool)
    return {**facts, "left": [names(net.subnets()), names(net.subnet_pools())]}


def ports() -> Facts:
    """Make ports one by one and at once; find, list, change and delete them."""
    one = net.create_network(name="one")
    four = net.create_subnet(network_id=one.id, name="four", ip_version=4, cidr="10.0.0.0/24")
    wishes = [{"network_id": one.id, "name": f"p{number}"} for number in range(5)]
    bulk = list(net.create_ports(wishes))
    made = net.create_port(
        network_id=one.id,
        name="port",
        mac_address="02:00:00:00:00:07",
        fixed_ips=[{"subnet_id": four.id, "ip_address": "10.0.0.77"}],
        device_id="vm",
        device_owner="compute:az",
    )
    changed = net.update_port(
        made.id, is_admin_state_up=False, fixed_ips=[{"ip_address": "10.0.0.78"}], device_id="vm2"
    )
    facts = {
        "bulk": names(bulk),
        "made": [made.mac_address, made.fixed_ips == [{"subnet_id": four.id, "ip_address": "10.0.0.77"}], made.status],
        "secure": [made.is_port_security_enabled, len(made.security_group_ids), made.allowed_address_pairs],
        "binding": [made.binding_vnic_type, made.binding_vif_type],
        "changed": [changed.is_admin_state_up, changed.fixed_ips[0]["ip_address"], changed.device_id],
        "found": net.find_port("port").id == made.id,
        "by address": names(net.ports(fixed_ips="ip_address=10.0.0.78")),
        "by device": names(net.ports(device_id="vm2")),
        "by mac": names(net.ports(mac_address="02:00:00:00:00:07")),
        "by network": len(list(net.ports(network_id=one.id))),
        "bulk is all or none": trying(lambda: net.create_ports([*wishes, {**wishes[0], "mac_address": "x"}]))[:2],
        "used": trying(lambda: net.create_port(network_id=one.id, mac_address="02:00:00:00:00:07")),
        "still": len(list(net.ports())),
    }
    for each in net.ports():
        net.delete_port(each)
    net.delete_network(one)
    return {**facts, "left": names(net.ports())}


def tags() -> Facts:
    """Set, add, check, remove and filter by tags on each kind of objects that has them."""
    one = net.create_network(name="one")
    four = net.create_subnet(network_id=one.id, name="four", ip_version=4, cidr="10.0.0.0/24")
    pool = net.create_subnet_pool(name="pool", prefixes=["10.64.0.0/16"])
    port = net.create_port(network_id=one.id, name="port")
    facts = {}
    for each in (one, four, port, pool):
        net.set_tags(each, ["a", "b"])
        each.add_tag(net, "c")
        each.remove_tag(net, "a")
        facts[type(each).__name__] = sorted(each.fetch(net).tags)
    facts["check"] = trying(lambda: port.check_tag(net, "a"))[:2]
    facts["checked"] = trying(lambda: port.check_tag(net, "b"))[:1]
    port.remove_all_tags(net)
    facts["none"] = port.fetch(net).tags
    net.set_tags(net.create_network(name="two"), ["z"])
    early = net.create_port(network_id=one.id, tags=["early"])
    facts["early"] = early.tags
    net.delete_port(early)
    facts["tags"] = names(net.networks(tags="b,c"))
    facts["any"] = names(net.networks(any_tags="b,x"))
    facts["not"] = names(net.networks(not_tags="b"))
    facts["not any"] = names(net.networks(not_any_tags="b,z"))
    net.delete_port(port)
    for each in net.networks():
        net.delete_network(each)
    net.delete_subnet_pool(pool)
    return facts


def trunks() -> Facts:
    """Make a trunk, give it VLANs and take one away, change it, and delete it."""
    one = net.create_network(name="one")
    parent, first, second = (net.create_port(network_id=one.id, name=name) for name in ("parent", "first", "second"))

    def vlan(port: Any, vid: int) -> dict[str, Any]:
        return {"port_id": port.id, "segmentation_type": "vlan", "segmentation_id": vid}

    made = net.create_trunk(name="trunk", port_id=parent.id, sub_ports=[vlan(first, 7)])
    twice = trying(lambda: net.add_trunk_subports(made, [vlan(second, 7)]))[:2]
    net.add_trunk_subports(made, [vlan(second, 8)])
    facts = {
        "made": [made.name, made.status, made.is_admin_state_up, made.port_id == parent.id],
        "twice": twice,
        "sub-ports": [[each["segmentation_id"] for each in net.get_trunk_subports(made)["sub_ports"]]],
        "found": net.find_trunk("trunk").id == made.id,
        "owner": [net.get_port(second.id).device_owner, net.get_port(second.id).device_id == made.id],
        "details": len(net.get_port(parent.id).trunk_details["sub_ports"]),
        "in use": trying(lambda: net.delete_port(second, ignore_missing=False))[:2],
    }
    net.delete_trunk_subports(made, [{"port_id": second.id}])
    facts["fewer"] = len(net.get_trunk(made.id).sub_ports)
    facts["changed"] = net.update_trunk(made, name="boot", is_admin_state_up=False).is_admin_state_up
    facts["locked"] = trying(lambda: net.delete_trunk(made.id, ignore_missing=False))[:2]
    net.update_trunk(made.id, is_admin_state_up=True)
    net.delete_trunk(made.id)
    clear = net.create_network(name="clear", is_vlan_transparent=True)
    facts["clear"] = [clear.is_vlan_transparent, names(net.networks(is_vlan_transparent=True))]
    for port in (parent, first, second):
        net.delete_port(port)
    for each in (one, clear):
        net.delete_network(each)
    return {**facts, "left": names(net.trunks())}


def revisions() -> Facts:
    """Change and delete what has changed meanwhile."""
    made = net.create_network(name="one")
    old = made.revision_number
    net.update_network(made.id, if_revision=old, description="first")
    facts = {
        "update": trying(lambda: net.update_network(made.id, if_revision=old, description="second")),
        "delete": trying(lambda: net.delete_network(made.id, if_revision=old)),
        "kept": net.get_network(made.id).description,
    }
    net.delete_network(made.id, if_revision=net.get_network(made.id).revision_number)
    return {**facts, "left": names(net.networks())}


def pages() -> Facts:
    """Get a long list in short pages."""
    made = [net.create_network(name=f"n{number}").id for number in range(7)]
    asked: list[str] = []
    conn.session.session.hooks["response"].append(lambda answer, *_, **__: asked.append(answer.url))
    paged = [each.id for each in net.networks(limit=2)]
    facts = {
        "all": sorted(paged) == sorted(made),
        "once": len(paged) == len(set(paged)),
        "requests": len([url for url in asked if "marker=" in url]),
        "sorted": names(net.networks(limit=3, sort_key="name", sort_dir="desc")),
        "one page": len(list(net.networks(limit=2, paginated=False))),
    }
    for each in made:
        net.delete_network(each)
    return facts


def errors() -> Facts:
    """Do what cannot be done."""
    one = net.create_network(name="one")
    net.create_subnet(network_id=one.id, name="four", ip_version=4, cidr="10.0.0.0/24")
    port = net.create_port(network_id=one.id)
    facts = {
        "missing": trying(lambda: net.get_network("none")),
        "in use": trying(lambda: net.delete_network(one, ignore_missing=False)),
        "bad": trying(lambda: net.create_network(mtu=5)),
        "unknown": trying(lambda: net.create_network(availability_zone_hints=["moon"])),
        "overlap": trying(lambda: net.create_subnet(network_id=one.id, ip_version=4, cidr="10.0.0.0/25")),
        "forbidden": trying(lambda: net.create_network(project_id="blue")),
        "gone": trying(lambda: net.delete_port("none", ignore_missing=False))[:2],
        "filter": net.get("/networks?colour=red").status_code,
    }
    net.delete_port(port)
    net.delete_network(one)
    return facts


def policies(other: str) -> Facts:
    """Make a QoS policy and rules for a project, give it to a port and a network, change it, and delete it."""
    made = net.create_qos_policy(name="gold", description="d", project_id=other, is_default=True)
    limit = net.create_qos_bandwidth_limit_rule(made, max_kbps=10_000, direction="ingress")
    mark = net.create_qos_dscp_marking_rule(made, dscp_mark=46)
    one = net.create_network(name="one", project_id=other)
    port = net.create_port(network_id=one.id, qos_policy_id=made.id)
    kinds = sorted(each.type for each in net.qos_rule_types())
    changed = net.update_qos_bandwidth_limit_rule(limit, made, max_kbps=20_000, max_burst_kbps=5_000)
    facts = {
        "made": [made.name, made.description, made.is_default, made.is_shared, made.project_id == other],
        "found": net.find_qos_policy("gold").id == made.id,
        "listed": names(net.qos_policies(is_default=True)),
        "limit": [changed.max_kbps, changed.max_burst_kbps, changed.direction],
        "limits": [each.id == limit.id for each in net.qos_bandwidth_limit_rules(made)],
        "mark": net.update_qos_dscp_marking_rule(mark, made, dscp_mark=8).dscp_mark,
        "marks": [net.get_qos_dscp_marking_rule(each, made).dscp_mark for each in net.qos_dscp_marking_rules(made)],
        "rules": sorted(each["type"] for each in net.get_qos_policy(made.id).rules),
        "had": [port.qos_policy_id == made.id, one.qos_policy_id == made.id],
        "through": net.get_port(port.id).qos_network_policy_id == made.id,
        "types": kinds,
        "type": net.get_qos_rule_type("dscp_marking").drivers[0]["name"],
        "in use": trying(lambda: net.delete_qos_policy(made, ignore_missing=False))[:2],
        "bad mark": trying(lambda: net.create_qos_dscp_marking_rule(made, dscp_mark=1))[:2],
        "twice": trying(lambda: net.create_qos_bandwidth_limit_rule(made, max_kbps=1, direction="ingress"))[:2],
        "minimum": trying(lambda: net.create_qos_minimum_bandwidth_rule(made, min_kbps=1))[:2],
        "shared": net.update_qos_policy(made, is_shared=True).is_shared,
        "no more": net.update_port(port, qos_policy_id=None).qos_policy_id,
    }
    net.delete_qos_dscp_marking_rule(mark, made)
    net.delete_qos_bandwidth_limit_rule(limit, made)
    net.delete_port(port)
    net.delete_network(one)
    net.delete_qos_policy(made)
    return {**facts, "left": names(net.qos_policies())}


def groups() -> Facts:
    """Make security groups, rules and address groups, use them for ports, change and delete them."""
    default = net.find_security_group("default")
    made = net.create_security_group(name="web", description="d")
    named = net.create_address_group(name="offices", addresses=["192.0.2.0/24"])
    one = net.create_network(name="one")
    port = net.create_port(network_id=one.id, name="port")
    had = list(port.security_group_ids)
    wish = {"security_group_id": made.id, "direction": "ingress", "protocol": "tcp"}
    web = net.create_security_group_rule(**wish, port_range_min=80, port_range_max=81, remote_ip_prefix="10.0.0.0/8")
    bulk = list(
        net.create_security_group_rules(
            [{**wish, "port_range_min": 443, "port_range_max": 443}, {**wish, "remote_group_id": default.id}]
        )
    )
    office = net.create_security_group_rule(**wish, remote_address_group_id=named.id)
    grown = list(net.add_addresses_to_address_group(named, ["198.51.100.0/24"]).addresses)
    shrunk = net.remove_addresses_from_address_group(named, ["192.0.2.0/24"])
    changed = net.update_port(
        port, security_groups=[made.id], allowed_address_pairs=[{"ip_address": "10.0.0.9"}], name="port"
    )
    free = net.create_port(network_id=one.id, is_port_security_enabled=False)
    facts = {
        "default": [default.name, len(default.security_group_rules), had == [default.id]],
        "made": [made.name, made.description, made.stateful, len(made.security_group_rules)],
        "web": [web.protocol, web.port_range_min, web.port_range_max, web.remote_ip_prefix, web.ether_type],
        "bulk": [each.port_range_min for each in bulk],
        "listed": sorted(names(net.security_groups())),
        "rules": len(list(net.security_group_rules(security_group_id=made.id, direction="ingress"))),
        "office": net.get_security_group_rule(office.id).remote_address_group_id == named.id,
        "addresses": [grown, shrunk.addresses],
        "renamed": [
            net.update_security_group(made, name="www").name,
            net.update_address_group(named, name="branches").name,
        ],
        "port": [changed.security_group_ids == [made.id], changed.allowed_address_pairs[0]["ip_address"]],
        "free": [free.is_port_security_enabled, free.security_group_ids],
        "twice": trying(lambda: net.create_security_group_rule(**wish, remote_address_group_id=named.id))[:2],
        "inverted": trying(lambda: net.create_security_group_rule(**wish, port_range_min=9, port_range_max=8))[:2],
        "in use": trying(lambda: net.delete_security_group(made, ignore_missing=False))[:2],
        "named": trying(lambda: net.delete_address_group(named, ignore_missing=False))[:2],
        "stays": trying(lambda: net.delete_security_group(default, ignore_missing=False))[:2],
    }
    for each in net.ports():
        net.delete_port(each)
    net.delete_network(one)
    net.delete_security_group_rule(office)
    net.delete_security_group(made)
    net.delete_address_group(named)
    return {**facts, "left": [names(net.security_groups()), names(net.address_groups())]}


def sharing(other: str) -> Facts:
    """Share a network with a project, look at the policy, change it, take it back."""
    one = net.create_network(name="one")
    policy = net.create_rbac_policy(
        object_type="network", object_id=one.id, action="access_as_shared", target_project_id=other
    )
    facts = {
        "policy": [policy.object_type, policy.action, policy.target_project_id, policy.object_id == one.id],
        "listed": [each.id == policy.id for each in net.rbac_policies(object_type="network")],
        "found": net.find_rbac_policy(policy.id).id == policy.id,
        "changed": net.update_rbac_policy(policy, target_project_id="green").target_project_id,
    }
    net.delete_rbac_policy(policy)
    net.delete_network(one)
    return {**facts, "left": len(list(net.rbac_policies()))}


def quotas(project: str) -> Facts:
    """Set a project's limits, look at them and at what it has of them, and reset them."""
    changed = net.update_quota(project, networks=1, ports=7)
    made = net.create_network(name="one", project_id=project)
    detailed = net.get_quota(project, details=True)
    facts = {
        "changed": [changed.networks, changed.ports],
        "limits": [net.get_quota(project).networks, net.get_quota(project).ports],
        "usage": [detailed.networks, detailed.ports],
        "listed": [each.project_id for each in net.quotas()],
        "over": trying(lambda: net.create_network(name="two", project_id=project)),
        "checked": trying(lambda: net.update_quota(project, networks=0, check_limit=True)),
    }
    net.delete_quota(project)
    facts["default"] = net.get_quota_default(project).networks == net.get_quota(project).networks
    facts["reset"] = net.get_quota(project).networks > 1
    net.delete_network(made)
    return facts


def mirrors() -> Facts:
    """Have a port's frames copied to another one, look at it, and have it end."""
    one = net.create_network(name="one")
    watcher, source = (net.create_port(network_id=one.id, name=name) for name in ("watcher", "source"))
    service = net.create_tap_service(name="watch", port_id=watcher.id)
    wish = {"tap_service_id": service.id, "source_port": source.id}
    flow = net.create_tap_flow(name="flow", direction="BOTH", **wish)
    facts = {
        "made": [service.name, service.port_id == watcher.id, service.status],
        "flow": [flow.direction, flow.source_port == source.id, flow.tap_service_id == service.id, flow.status],
        "found": [net.find_tap_service("watch").id == service.id, net.find_tap_flow("flow").id == flow.id],
        "renamed": [net.update_tap_service(service, name="w").name, net.update_tap_flow(flow, name="f").name],
        "listed": [names(net.tap_services(port_id=watcher.id)), names(net.tap_flows(direction="IN"))],
        "itself": trying(lambda: net.create_tap_flow(direction="IN", **{**wish, "source_port": watcher.id}))[:2],
        "vlans": trying(lambda: net.create_tap_flow(direction="IN", vlan_filter="1-5", **wish))[:2],
    }
    net.delete_tap_service(service, ignore_missing=False)
    facts["gone"] = trying(lambda: net.get_tap_flow(flow.id))[:2]
    net.delete_port(watcher)
    net.delete_port(source)
    net.delete_network(one)
    return facts


def site() -> Facts:
    """Look at what the site is."""
    one = net.create_network(name="one")
    net.create_subnet(network_id=one.id, ip_version=4, cidr="10.0.0.0/24")
    net.create_port(network_id=one.id)
    available = net.find_network_ip_availability(one.id)
    (zone,) = net.availability_zones()
    facts = {
        "extensions": sorted(each.alias for each in net.extensions()),
        "extension": [net.find_extension("provider").alias, net.find_extension("dvr")],
        "agents": len(list(net.agents())),
        "zone": [zone.name, zone.resource],
        "providers": len(list(net.service_providers())),
        "addresses": [available.total_ips, available.used_ips, available.network_name],
        "listed": [each.network_name for each in net.network_ip_availabilities()],
    }
    net.delete_port(next(net.ports()))
    net.delete_network(one)
    return facts


def cloud() -> Facts:
    """Use the layer that Ansible's modules use."""
    one = conn.create_network("one", admin_state_up=True)
    four = conn.create_subnet("one", cidr="10.0.0.0/24", subnet_name="four", enable_dhcp=False)
    port = conn.create_port(one.id, name="port", fixed_ips=[{"subnet_id": four.id}])
    changed = conn.update_port("port", name="port2", device_owner="compute:x")
    facts = {
        "made": [one.name, four.cidr, port.fixed_ips[0]["ip_address"]],
        "changed": [changed.name, changed.device_owner],
        "got": [conn.get_network("one").id == one.id, conn.get_port("port2").id == port.id],
        "listed": [names(conn.list_networks()), names(conn.list_subnets()), names(conn.list_ports())],
        "filtered": [
            names(conn.list_ports({"device_owner": "compute:x"})),
            names(conn.list_ports({"status": "ACTIVE"})),
        ],
        "searched": names(conn.search_networks("one")),
        "renamed": conn.update_network("one", name="uno").name,
        "subnet": conn.update_subnet("four", subnet_name="quattro", dns_nameservers=["192.0.2.1"]).dns_nameservers,
    }
    facts["deleted"] = [conn.delete_port("port2"), conn.delete_subnet("quattro"), conn.delete_network("uno")]
    return {**facts, "again": conn.delete_network("uno")}


print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
