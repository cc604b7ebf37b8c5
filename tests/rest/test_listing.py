"""Lists are filtered, sorted and cut into pages as Neutron's are."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from controller.rest import networks, port_forms, subnet_forms
from controller.rest.listing import spell_time
from controller.rest.sight import Sight


@pytest.fixture
def named(op) -> dict[str, str]:
    """Five ports with names in no order, two of them alike, by id."""
    network = op.make("network")["id"]
    op.make("subnet", network_id=network, cidr="10.0.0.0/24")
    asked = (("d", "x"), ("b", "y"), ("a", "x"), ("c", "y"), ("b", "x"))
    made = [op.make("port", network_id=network, name=name, device_id=device) for name, device in asked]
    return {port["id"]: port["name"] + port["device_id"] for port in made}


def _list(client, query: str = "", plural: str = "ports") -> list[dict[str, object]]:
    answer = client("GET", f"/v2.0/{plural}?{query}")
    assert answer.status == 200, answer
    return answer.body[plural]


def _names(client, query: str) -> list[str]:
    return [port["name"] + port["device_id"] for port in _list(client, query)]


def test_a_list_can_be_sorted(op, named) -> None:
    """sort_key and sort_dir order a list, several pairs by one after the other, and the id decides what they do not."""
    assert len(named) == 5
    assert _names(op, "sort_key=name&sort_key=device_id") == ["ax", "bx", "by", "cy", "dx"]
    assert _names(op, "sort_key=name&sort_dir=desc&sort_key=device_id&sort_dir=asc") == ["dx", "cy", "bx", "by", "ax"]
    assert _names(op, "sort_key=device_id&sort_dir=desc&sort_key=name&sort_dir=desc") == ["cy", "by", "dx", "bx", "ax"]
    ids = [port["id"] for port in _list(op, "sort_key=network_id")]
    assert ids == sorted(named)


def test_null_is_sorted_first(op) -> None:
    """A list can be sorted by a field that some objects do not have."""
    network = op.make("network")["id"]
    for number, gateway in enumerate(("10.0.0.9", None, "10.0.2.1")):
        op.make("subnet", network_id=network, cidr=f"10.0.{number}.0/24", gateway_ip=gateway)
    listed = _list(op, "sort_key=gateway_ip&sort_dir=asc", "subnets")
    assert [subnet["gateway_ip"] for subnet in listed] == [None, "10.0.0.9", "10.0.2.1"]


def test_pages_follow_each_other(op, named) -> None:
    """Going by the links from the first page on shows every object once, in order, and back again likewise."""
    query = "limit=2&sort_key=name&sort_dir=asc&sort_key=device_id&sort_dir=asc"
    expected = sorted(named.values())
    pages, path = [], f"/v2.0/ports?{query}"
    while path:
        answer = op("GET", path)
        pages.append([port["name"] + port["device_id"] for port in answer.body["ports"]])
        links = {link["rel"]: link["href"] for link in answer.body["ports_links"]}
        path = _path(links.get("next"))
    assert pages == [expected[:2], expected[2:4], expected[4:]]
    back, path = [], _path(links["previous"])
    while path:
        answer = op("GET", path)
        back.append([port["name"] + port["device_id"] for port in answer.body["ports"]])
        links = {link["rel"]: link["href"] for link in answer.body["ports_links"]}
        path = _path(links.get("previous"))
    assert back == [expected[2:4], expected[:2], []]


def _path(href: str | None) -> str | None:
    if href is None:
        return None
    parts = urlsplit(href)
    return f"{parts.path}?{parts.query}"


def test_links_repeat_what_was_asked(op, edge, named) -> None:
    """A link to the page beside has the filters and fields of the request, and where that page begins."""
    assert len(named) == 5
    answer = op("GET", "/v2.0/ports?device_id=x&device_id=y&fields=name&limit=2&page_reverse=True")
    assert [set(port) for port in answer.body["ports"]] == [{"name"}, {"name"}]
    last_two = sorted(named)[-2:]
    links = {link["rel"]: urlsplit(link["href"]) for link in answer.body["ports_links"]}
    assert links["next"].netloc == f"127.0.0.1:{edge.port}"
    common = {"device_id": ["x", "y"], "fields": ["name"], "limit": ["2"]}
    assert parse_qs(links["next"].query) == {**common, "marker": [last_two[1]]}
    assert parse_qs(links["previous"].query) == {**common, "marker": [last_two[0]], "page_reverse": ["True"]}


def test_a_list_that_is_not_cut_has_no_links(op, named) -> None:
    """Without a limit, or with 0, a list is whole and without links."""
    assert set(op("GET", "/v2.0/ports").body) == {"ports"}
    whole = op("GET", "/v2.0/ports?limit=0").body
    assert set(whole) == {"ports"}
    assert {port["id"] for port in whole["ports"]} == set(named)
    assert {link["rel"] for link in op("GET", "/v2.0/ports?limit=9").body["ports_links"]} == {"previous"}


def test_a_marker_needs_not_match(op, named) -> None:
    """The page behind a marker is right even where the marker itself is filtered away."""
    by_name = {name: id_ for id_, name in named.items()}
    query = f"sort_key=name&sort_dir=asc&sort_key=device_id&sort_dir=asc&marker={by_name['by']}&limit=5"
    assert _names(op, f"device_id=x&{query}") == ["dx"]
    assert _names(op, f"device_id=x&page_reverse=true&{query}") == ["ax", "bx"]


@pytest.mark.parametrize("plural", ["networks", "subnets", "ports"])
def test_a_marker_that_does_not_exist(op, blue, named, plural: str) -> None:
    """A marker that nobody has, or somebody else, is answered 404."""
    assert op("GET", f"/v2.0/{plural}?limit=2&marker=none").error["type"] == f"{plural[:-1].capitalize()}NotFound"
    theirs = f"/v2.0/ports?limit=2&marker={next(iter(named))}"
    assert (blue("GET", theirs).status, op("GET", theirs).status) == (404, 200)


def test_true_and_false_have_several_spellings(op) -> None:
    """A filter by true or false takes the spellings that clients send."""
    network = op.make("network", admin_state_up=False)["id"]
    op.make("network")
    for text in ("false", "False", "0"):
        assert [found["id"] for found in _list(op, f"admin_state_up={text}", "networks")] == [network]
    assert len(_list(op, "admin_state_up=true&admin_state_up=false", "networks")) == 2
    assert _list(op, "shared=1", "networks") == []
    assert len(_list(op, "router:external=False&port_security_enabled=True", "networks")) == 2


def test_nothing_can_be_asked_for(op) -> None:
    """An empty filter finds what is empty or null."""
    network = op.make("network")["id"]
    bare = op.make("port", network_id=network)["id"]
    op.make("port", network_id=network, device_id="vm")
    assert [port["id"] for port in _list(op, "device_id=")] == [bare]
    op.make("subnet", network_id=network, cidr="10.0.0.0/24", gateway_ip=None)
    op.make("subnet", network_id=network, cidr="10.0.1.0/24")
    assert [subnet["cidr"] for subnet in _list(op, "gateway_ip=", "subnets")] == ["10.0.0.0/24"]


def test_a_port_is_found_by_part_of_its_address(op, named) -> None:
    """fixed_ips finds ports by a whole address in any spelling, a part of one, a subnet; one address has to be all."""
    subnet = _list(op, "", "subnets")[0]["id"]
    six = op.make("subnet", network_id=_list(op, "", "networks")[0]["id"], cidr="2001:db8::/64")["id"]
    both = op.make("port", network_id=_list(op, "", "networks")[0]["id"], name="z")
    assert len(named) == 5
    assert _names(op, "fixed_ips=ip_address_substr=0.0.5") == ["cy"]
    assert len(_names(op, "fixed_ips=ip_address_substr=10.0.0.")) == 6
    assert [port["id"] for port in _list(op, "fixed_ips=ip_address=2001:DB8:0::2")] == [both["id"]]
    assert _names(op, f"fixed_ips=ip_address=10.0.0.2&fixed_ips=subnet_id={subnet}") == ["dx"]
    assert _names(op, f"fixed_ips=ip_address=10.0.0.2&fixed_ips=subnet_id={six}") == []


def test_objects_are_found_by_their_tags(op) -> None:
    """tags, tags-any, not-tags and not-tags-any choose as Neutron's do, by names between commas."""
    tagged = {"ab": ["a", "b"], "a": ["a"], "c": ["c"], "none": []}
    network = op.make("network")["id"]
    for name, tags in tagged.items():
        op.make("port", network_id=network, name=name, tags=tags)

    def found(query: str) -> list[str]:
        return [port["name"] for port in _list(op, query)]

    assert found("tags=a") == ["ab", "a"]
    assert found("tags=a,b") == ["ab"]
    assert found("tags=a&tags=b") == ["ab"]
    assert found("tags-any=b,c") == ["ab", "c"]
    assert found("not-tags=a,b") == ["a", "c", "none"]
    assert found("not-tags-any=a,b") == ["c", "none"]
    assert found("tags=a&not-tags-any=b") == ["a"]


def test_objects_are_found_by_when_they_changed(op, edge) -> None:
    """changed_since finds what was made or changed then or later, to the second."""
    old, new = op.make("network", name="old"), op.make("network", name="new")
    edge.service.now += 60.5
    op("PUT", f"/v2.0/networks/{new['id']}", {"network": {"name": "newer"}})
    changed = op("GET", f"/v2.0/networks/{new['id']}").body["network"]
    assert (changed["created_at"], changed["updated_at"]) == (old["created_at"], spell_time(edge.service.now))

    def found(since: str) -> list[str]:
        return [network["name"] for network in _list(op, f"changed_since={since}", "networks")]

    assert found(changed["updated_at"]) == ["newer"]
    assert found(changed["updated_at"].removesuffix("Z")) == ["newer"]
    assert found(old["updated_at"]) == ["old", "newer"]
    assert found("2100-01-01T00:00:00Z") == []


def test_what_a_tenant_does_not_see_is_nothing_to_sort_by(blue, op) -> None:
    """A tenant cannot find out the order of what it is not shown."""
    blue.make("network")
    assert op("GET", "/v2.0/networks?sort_key=provider:segmentation_id&sort_dir=asc").status == 200
    answer = blue("GET", "/v2.0/networks?sort_key=provider:segmentation_id&sort_dir=asc")
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")


def test_what_is_shown_is_what_is_documented(op, edge) -> None:
    """Every field of the answers is in the document, and of the type that stands there."""
    network = op.make("network")
    subnet = op.make(
        "subnet",
        network_id=network["id"],
        cidr="10.0.0.0/24",
        dns_nameservers=["192.0.2.1"],
        host_routes=[{"destination": "192.0.2.0/24", "nexthop": "10.0.0.1"}],
    )
    port = op.make("port", network_id=network["id"], tags=["a"], **{"binding:host_id": "h1"})
    shown = (
        (network, networks.NetworkShown, networks.attributes(Sight(edge.service))),
        (subnet, subnet_forms.SubnetShown, subnet_forms.attributes()),
        (port, port_forms.PortShown, port_forms.attributes(edge.service)),
    )
    for answer, model, attributes in shown:
        documented = {field.serialization_alias or name for name, field in model.model_fields.items()}
        names = {field.serialization_alias: name for name, field in model.model_fields.items()}
        assert set(answer) == set(attributes) == documented
        model.model_validate({names.get(name, name): value for name, value in answer.items()})
