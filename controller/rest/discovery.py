"""What does this server offer?

Version documents and the list of extensions, as clients of OpenStack read them before anything else.  Only what works
is declared.
"""

from __future__ import annotations

from typing import Final

from flask import request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel

from controller.rest import answers
from controller.rest.listing import Json
from overlay.refusals import NotFound


class Link(BaseModel):
    """A place to go to."""

    href: str
    rel: str


class Version(BaseModel):
    """A version of the API."""

    id: str
    status: str
    links: list[Link]


class VersionsAnswer(BaseModel):
    """The API's versions, and where people find its documentation."""

    versions: list[Version]
    links: list[Link]


class Resource(BaseModel):
    """A kind of object of the API."""

    name: str
    collection: str
    links: list[Link]


class ResourcesAnswer(BaseModel):
    """The kinds of objects."""

    resources: list[Resource]


class Extension(BaseModel):
    """A part of Neutron's API that is not in its core."""

    alias: str
    name: str
    description: str
    updated: str = "2026-01-01T00:00:00-00:00"
    links: list[Link] = []


class ExtensionAnswer(BaseModel):
    """One extension."""

    extension: Extension


class ExtensionsAnswer(BaseModel):
    """The extensions."""

    extensions: list[Extension]


class ExtensionPath(BaseModel):
    """Which extension."""

    alias: str


_EXTENSIONS: Final = (
    ("address-group", "Address group", "Rules of security groups may name a group of prefixes."),
    ("agent", "agent", "The hypervisors as agents (operator)."),
    ("allowed-address-pairs", "Allowed Address Pairs", "A port may use addresses besides its own."),
    ("availability_zone", "Availability Zone", "There is one, named default."),
    ("binding", "Port Binding", "Where a port lives; binding:host_id moves it (operator)."),
    ("binding-extended", "Port Bindings Extended", "Passive bindings, and their activation: a move without loss."),
    ("default-subnetpools", "Default Subnetpools", "Subnets may be cut of the operator's default pool."),
    ("dns-integration", "DNS Integration", "Ports have names, which the network itself resolves."),
    ("extra_dhcp_opt", "Neutron Extra DHCP options", "Ports say what DHCP is to tell their machines besides."),
    ("empty-string-filtering", "Empty String Filtering", "An empty filter finds what is empty or null."),
    ("filter-validation", "Filter parameters validation", "A filter that does not exist is refused."),
    ("ip-substring-filtering", "IP address substring filtering", "Ports are found by a part of an address."),
    ("net-mtu", "Network MTU", "The MTU of a network is computed from the underlay's, and shown."),
    ("net-mtu-writable", "Network MTU (writable)", "The MTU of a network can be set."),
    ("network-ip-availability", "Network IP Availability", "How many addresses are used (operator)."),
    ("network_availability_zone", "Network Availability Zone", "A network says which zones it is in."),
    ("pagination", "Pagination support", "Lists come page by page: limit, marker, page_reverse."),
    ("port-security", "Port Security", "Whether a port's frames are checked for its addresses."),
    ("port-security-groups-filtering", "Port filtering on security groups", "Ports are found by their groups."),
    ("project-id", "project_id field", "project_id stands beside tenant_id."),
    ("provider", "Provider Network", "The VNI as provider:segmentation_id (operator)."),
    ("qos", "Quality of Service", "Policies limit the bandwidth of ports and networks, and mark what they send."),
    ("qos-bw-limit-direction", "Direction for QoS bandwidth limit rule", "Limits of what is sent, and of what is got."),
    ("qos-default", "QoS default policy", "New networks have their project's default policy."),
    ("qos-port-network-policy", "QoS port network policy", "Ports show the policy of their network."),
    ("qos-rule-type-details", "Details of QoS rule types", "What rules of each type may say."),
    ("qos-rules-alias", "Ability to modify QoS rules with alias", "Rules are found by their own ids as well."),
    ("quota-check-limit", "Quota engine limit check", "A limit below what is used is refused if one asks for it."),
    ("quota_details", "Quota details", "How much of a quota is used."),
    ("quotas", "Quota management", "How much a project may have."),
    ("rbac-policies", "RBAC Policies", "Networks may be shared with single projects, or with all of them."),
    ("rbac-subnetpool", "Add subnetpool type to RBAC", "Likewise subnet pools."),
    ("revision-if-match", "If-Match by revision number", "A change may depend on a revision."),
    ("security-group", "security-group", "What ports may send and receive, connection by connection."),
    ("security-groups-remote-address-group", "Remote address group id field on rules", "Rules name address groups."),
    ("service-type", "Neutron Service Type Management", "The list of providers of services, of which there are none."),
    ("sorting", "Sorting support", "Lists come in an order: sort_key, sort_dir."),
    ("standard-attr-description", "standard-attr-description", "Objects have a description."),
    ("standard-attr-revisions", "Resource revision numbers", "Objects have a revision_number."),
    ("standard-attr-tag", "Tags", "Objects have tags, and lists can be filtered by them."),
    ("standard-attr-timestamp", "Resource timestamps", "Objects have created_at and updated_at."),
    ("subnet_allocation", "Subnet Allocation", "Subnets may be cut of subnet pools."),
    ("taas", "Neutron Tap as a Service", "What a port sends and gets is copied to another port."),
    ("tag-ports-during-bulk-creation", "Tag Ports During Bulk Creation", "Ports have tags as soon as they are made."),
    ("trunk", "Trunk Extension", "A port may carry other ports as VLANs."),
    ("trunk-details", "Trunk port details", "A port shows what it carries: trunk_details."),
    ("vlan-transparent", "Vlantransparent", "A network may carry frames with VLAN tags; others drop them."),
)
EXTENSIONS: Final = {
    alias: Extension(alias=alias, name=name, description=description) for alias, name, description in _EXTENSIONS
}
"""By alias."""


_RESOURCES: Final = (
    ("network", "networks", "networks"),
    ("subnet", "subnets", "subnets"),
    ("port", "ports", "ports"),
    ("subnetpool", "subnetpools", "subnetpools"),
    ("trunk", "trunks", "trunks"),
    ("rbac_policy", "rbac_policies", "rbac-policies"),
    ("security_group", "security_groups", "security-groups"),
    ("security_group_rule", "security_group_rules", "security-group-rules"),
    ("address_group", "address_groups", "address-groups"),
    ("policy", "policies", "qos/policies"),
    ("rule_type", "rule_types", "qos/rule-types"),
    ("tap_service", "tap_services", "taas/tap_services"),
    ("tap_flow", "tap_flows", "taas/tap_flows"),
    ("quota", "quotas", "quotas"),
    ("agent", "agents", "agents"),
    ("availability_zone", "availability_zones", "availability_zones"),
    ("service_provider", "service_providers", "service-providers"),
    ("network_ip_availability", "network_ip_availabilities", "network-ip-availabilities"),
    ("extension", "extensions", "extensions"),
)
"""Each by one, by several, and where it is."""


def blueprint() -> APIBlueprint:
    """Build the routes of versions and extensions."""
    api = answers.routes("discovery")

    def here(path: str) -> str:
        return request.host_url.rstrip("/") + path

    @api.get("/", responses={200: VersionsAnswer}, openapi_extensions=answers.NO_TOKEN)
    def list_versions() -> Json:
        """List the API's versions.  Needs no token."""
        links = [Link(href=here("/v2.0/"), rel="self")]
        found = VersionsAnswer(
            versions=[Version(id="v2.0", status="CURRENT", links=links)],
            links=[
                Link(href=here("/docs"), rel="help"),
                Link(href=here("/openapi.json"), rel="service-desc"),
                Link(href=here("/v1/health"), rel="status"),
            ],
        )
        return found.model_dump()

    @api.get("/v2.0/", responses={200: ResourcesAnswer}, openapi_extensions=answers.NO_TOKEN)
    def list_resources() -> Json:
        """List the kinds of objects.  Needs no token."""
        found = ResourcesAnswer(
            resources=[
                Resource(name=name, collection=plural, links=[Link(href=here(f"/v2.0/{path}"), rel="self")])
                for name, plural, path in _RESOURCES
            ]
        )
        return found.model_dump()

    @api.get("/v2.0/extensions", responses=answers.ok(ExtensionsAnswer))
    def list_extensions() -> Json:
        """List the extensions."""
        return ExtensionsAnswer(extensions=list(EXTENSIONS.values())).model_dump()

    @api.get("/v2.0/extensions/<alias>", responses=answers.ok(ExtensionAnswer))
    def show_extension(path: ExtensionPath) -> Json:
        """Show an extension."""
        found = EXTENSIONS.get(path.alias)
        if found is None:
            raise NotFound(f"Extension {path.alias} could not be found.", field="alias", kind="ExtensionNotFound")
        return ExtensionAnswer(extension=found).model_dump()

    return api
