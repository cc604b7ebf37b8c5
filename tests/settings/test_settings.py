"""Requirements of the configuration file."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from controller.configuration import Endpoint, SettingsError
from controller.counting import Watch
from controller.fabric.elephants import Rule
from controller.settings import default_state_dir, load, parse
from overlay.holdings import DEFAULT_QUOTAS
from overlay.values import UNLIMITED, Countable, Mac


def test_defaults_are_sane() -> None:
    """Without a file everything listens on the loopback only and every time has its documented default."""
    settings = load(None)
    assert settings.openflow.listen == (Endpoint("127.0.0.1", 6653),)
    assert settings.ovsdb.listen == (Endpoint("127.0.0.1", 6640),)
    assert settings.rest.listen == Endpoint("127.0.0.1", 9696)
    assert (settings.rest.audit_log, settings.rest.rate_limit, settings.rest.rate_burst) == (None, 0, 1)
    assert not settings.insecure_listen
    assert (settings.overlay.vni_first, settings.overlay.vni_last) == (1, (1 << 24) - 1)
    assert settings.overlay.grace_seconds == 1.0
    assert settings.overlay.move_timeout == 300.0
    assert settings.overlay.host_lost_after == 30.0
    assert settings.overlay.port_rate_kbps == 0
    assert (settings.overlay.storm_pps, settings.overlay.asking_pps) == (1000, 50)
    assert (settings.overlay.dhcp_lease_seconds, settings.overlay.ra_interval) == (86_400, 200.0)
    assert (settings.overlay.port_rate_pps, settings.overlay.port_connections) == (0, 1000)
    assert settings.overlay.underlay_mtu == 1500
    assert settings.overlay.multicast_unregistered == "drop"
    assert settings.overlay.multicast_query_interval == 60.0
    assert settings.overlay.multicast_groups_per_port == 64
    assert settings.overlay.multicast_groups_per_network == 1024
    assert settings.quotas == DEFAULT_QUOTAS
    assert settings.fabric.edge_prefix_length == 24
    assert settings.fabric.la_supernet == IPv4Network("10.0.0.0/16")
    assert settings.fabric.lldp_interval == 0.5
    assert settings.fabric.hold == 3
    assert settings.fabric.router_mac == Mac.parse("02:56:4c:32:00:01")
    assert settings.fabric.watch == Watch(1.0, 0, None)
    assert settings.fabric.bfd
    assert settings.fabric.bfd_interval == 0.06
    assert settings.fabric.intended is None
    assert settings.audit_interval == 5.0
    assert settings.operator_token_file == settings.state_dir / "operator.token"
    assert settings.tokens == {}


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Each key of the file reaches its value."""
    file = tmp_path / "vl2.toml"
    file.write_text(
        f"""
        state_dir = "{tmp_path}/state"
        insecure_listen = true
        audit_interval = 2
        operator_token_file = "{tmp_path}/op"
        [openflow]
        listen = ["127.0.0.1:6653", "172.31.0.1:6653"]
        [ovsdb]
        listen = ["[::1]:6640"]
        [rest]
        listen = "0.0.0.0:80"
        audit_log = "{tmp_path}/audit.log"
        rate_limit = 50
        rate_burst = 500
        [overlay]
        vni_range = [1000, 1999]
        grace_seconds = 0
        move_timeout = 60
        host_lost_after = 5.5
        port_rate_kbps = 20_000
        port_rate_pps = 9_000
        port_connections = 70
        storm_pps = 300
        asking_pps = 7
        dhcp_lease_seconds = 3600
        ra_interval = 30
        underlay_mtu = 9000
        multicast_unregistered = "flood"
        multicast_query_interval = 125
        multicast_groups_per_port = 8
        multicast_groups_per_network = 16
        [quotas]
        network = 5
        port = -1
        [fabric]
        edge_prefix_length = 26
        la_supernet = "10.1.0.0/16"
        lldp_interval = 0.1
        hold = 5
        router_mac = "02:00:00:00:00:01"
        counters_interval = 0.5
        capacity_mbps = 1000
        elephants = true
        elephant_threshold = 0.5
        elephant_interval = 2
        bfd = false
        bfd_interval = 1
        intended = "{tmp_path}/fabric.graphml"
        [tokens]
        blue = "blue-0123456789-blue"
        "red team" = "red-0123456789-red"
        """
    )
    settings = load(file)
    assert settings.state_dir == tmp_path / "state"
    assert settings.operator_token_file == tmp_path / "op"
    assert settings.openflow.listen[1] == Endpoint("172.31.0.1", 6653)
    assert str(settings.ovsdb.listen[0]) == "[::1]:6640"
    assert settings.rest.listen == Endpoint("0.0.0.0", 80)  # noqa: S104
    assert (settings.overlay.vni_first, settings.overlay.vni_last) == (1000, 1999)
    assert settings.rest.audit_log == tmp_path / "audit.log"
    assert (settings.rest.rate_limit, settings.rest.rate_burst) == (50, 500)
    assert settings.overlay.grace_seconds == 0.0
    assert settings.overlay.port_rate_kbps == 20_000
    assert (settings.overlay.storm_pps, settings.overlay.asking_pps) == (300, 7)
    assert (settings.overlay.dhcp_lease_seconds, settings.overlay.ra_interval) == (3600, 30.0)
    assert (settings.overlay.port_rate_pps, settings.overlay.port_connections) == (9_000, 70)
    assert settings.overlay.underlay_mtu == 9000
    assert settings.overlay.multicast_unregistered == "flood"
    assert settings.overlay.multicast_query_interval == 125.0
    assert settings.overlay.multicast_groups_per_port == 8
    assert settings.overlay.multicast_groups_per_network == 16
    assert settings.quotas == {**DEFAULT_QUOTAS, Countable.NETWORK: 5, Countable.PORT: UNLIMITED}
    assert settings.fabric.edge_prefix_length == 26
    assert settings.fabric.watch == Watch(0.5, 1000, Rule(0.5, 2.0))
    assert not settings.fabric.bfd
    assert settings.fabric.bfd_interval == 1.0
    assert settings.fabric.intended == tmp_path / "fabric.graphml"
    assert settings.tokens["blue"].matches("blue-0123456789-blue")
    assert not settings.tokens["red team"].matches("blue-0123456789-blue")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("colour = 1", "colour"),
        ("[rest]\nlisten_to = 1", "rest.listen_to"),
        ("[rest]\naudit_log = 'audit.log'", "rest.audit_log"),
        ("[rest]\nrate_limit = -1", "rest.rate_limit"),
        ("[rest]\nrate_limit = 0.5", "rest.rate_limit"),
        ("[rest]\nrate_burst = 0", "rest.rate_burst"),
        ("[resst]", "resst"),
        ("rest = 5", "rest"),
        ("[openflow]\nlisten = '127.0.0.1:6653'", "openflow.listen"),
        ("[openflow]\nlisten = []", "openflow.listen"),
        ("[openflow]\nlisten = ['127.0.0.1']", "openflow.listen"),
        ("[openflow]\nlisten = ['127.0.0.1:66535']", "openflow.listen"),
        ("[openflow]\nlisten = ['127.0.0.1:1', '127.0.0.1:1']", "openflow.listen"),
        ("[ovsdb]\nlisten = ['example.org:6640']", "ovsdb.listen"),
        ("[rest]\nlisten = 9696", "rest.listen"),
        ("insecure_listen = 'yes'", "insecure_listen"),
        ("[overlay]\nvni_range = [5]", "overlay.vni_range"),
        ("[overlay]\nvni_range = [0, 10]", "overlay.vni_range"),
        ("[overlay]\nvni_range = [10, 9]", "overlay.vni_range"),
        ("[overlay]\nvni_range = [true, 9]", "overlay.vni_range"),
        ("[overlay]\nvni_range = [1, 16777216]", "overlay.vni_range"),
        ("[overlay]\ngrace_seconds = -1", "overlay.grace_seconds"),
        ("[overlay]\ngrace_seconds = nan", "overlay.grace_seconds"),
        ("[overlay]\nmove_timeout = 0", "overlay.move_timeout"),
        ("[overlay]\nmove_timeout = inf", "overlay.move_timeout"),
        ("[overlay]\nhost_lost_after = true", "overlay.host_lost_after"),
        ("[overlay]\nport_rate_kbps = -1", "overlay.port_rate_kbps"),
        ("[overlay]\nport_rate_pps = 99", "overlay.port_rate_pps"),
        ("[overlay]\nport_connections = -1", "overlay.port_connections"),
        ("[overlay]\nstorm_pps = -1", "overlay.storm_pps"),
        ("[overlay]\nstorm_pps = 1.5", "overlay.storm_pps"),
        ("[overlay]\nasking_pps = 0", "overlay.asking_pps"),
        ("[overlay]\ndhcp_lease_seconds = 9", "overlay.dhcp_lease_seconds"),
        ("[overlay]\ndhcp_lease_seconds = 4294967295", "overlay.dhcp_lease_seconds"),
        ("[overlay]\nra_interval = 3.9", "overlay.ra_interval"),
        ("[overlay]\nra_interval = 1801", "overlay.ra_interval"),
        ("[overlay]\nasking_pps = 10000001", "overlay.asking_pps"),
        ("[overlay]\nport_rate_kbps = 63", "overlay.port_rate_kbps"),
        ("[overlay]\nport_rate_kbps = 400000001", "overlay.port_rate_kbps"),
        ("[overlay]\nport_rate_kbps = 1.5", "overlay.port_rate_kbps"),
        ("[overlay]\nport_rate_kbps = false", "overlay.port_rate_kbps"),
        ("[overlay]\nunderlay_mtu = 1329", "overlay.underlay_mtu"),
        ("[overlay]\nunderlay_mtu = 65536", "overlay.underlay_mtu"),
        ("[overlay]\nunderlay_mtu = '1500'", "overlay.underlay_mtu"),
        ("[overlay]\nmulticast_unregistered = 'all'", "overlay.multicast_unregistered"),
        ("[overlay]\nmulticast_unregistered = true", "overlay.multicast_unregistered"),
        ("[overlay]\nmulticast_query_interval = 0.5", "overlay.multicast_query_interval"),
        ("[overlay]\nmulticast_query_interval = 40000", "overlay.multicast_query_interval"),
        ("[overlay]\nmulticast_groups_per_port = 0", "overlay.multicast_groups_per_port"),
        ("[overlay]\nmulticast_groups_per_network = 100001", "overlay.multicast_groups_per_network"),
        ("[quotas]\nport = -2", "quotas.port"),
        ("[quotas]\nport = true", "quotas.port"),
        ("[quotas]\nrouter = 5", "quotas.router"),
        ("[fabric]\nedge_prefix_length = 8", "fabric.edge_prefix_length"),
        ("[fabric]\nedge_prefix_length = 31", "fabric.edge_prefix_length"),
        ("[fabric]\nla_supernet = '10.0.0.1/16'", "fabric.la_supernet"),
        ("[fabric]\nla_supernet = 'fd00::/16'", "fabric.la_supernet"),
        ("[fabric]\nhold = 0", "fabric.hold"),
        ("[fabric]\ncounters_interval = -1", "fabric.counters_interval"),
        ("[fabric]\ncapacity_mbps = 0.5", "fabric.capacity_mbps"),
        ("[fabric]\nelephants = 1", "fabric.elephants"),
        ("[fabric]\nelephants = true\npolicy = 'shortest'", "fabric.policy"),
        ("[fabric]\nelephants = true\npolicy = 'vlb'", "fabric.policy"),
        ("[fabric]\nelephants = true\ncounters_interval = 0", "fabric.elephants"),
        ("[fabric]\nelephants = true\nelephant_interval = 0.5", "fabric.elephant_interval"),
        ("[fabric]\nelephant_interval = 0", "fabric.elephant_interval"),
        ("[fabric]\nelephant_threshold = 0.05", "fabric.elephant_threshold"),
        ("[fabric]\nelephant_threshold = 1.5", "fabric.elephant_threshold"),
        ("[fabric]\nelephant_threshold = nan", "fabric.elephant_threshold"),
        ("[fabric]\nelephant_threshold = true", "fabric.elephant_threshold"),
        ("[fabric]\nhold = 1.5", "fabric.hold"),
        ("[fabric]\nrouter_mac = '01:00:00:00:00:01'", "fabric.router_mac"),
        ("[fabric]\nbfd = 1", "fabric.bfd"),
        ("[fabric]\nbfd_interval = 0.001", "fabric.bfd_interval"),
        ("[fabric]\nbfd_interval = 11", "fabric.bfd_interval"),
        ("[fabric]\nrouter_mac = '02:56:4d:00:00:01'", "fabric.router_mac"),
        ("[fabric]\nintended = 'fabric.json'", "fabric.intended"),
        ("[fabric]\nintended = 5", "fabric.intended"),
        ("state_dir = 'relative'", "state_dir"),
        ("state_dir = ''", "state_dir"),
        ("state_dir = 5", "state_dir"),
        ("audit_interval = 'often'", "audit_interval"),
        ("[tokens]\nblue = 'short'", "tokens.blue"),
        ("[tokens]\nblue = 'with a space in it'", "tokens.blue"),
        ("[tokens]\nblue = 1234567890123456", "tokens.blue"),
        ("[tokens]\noperator = '0123456789abcdef'", "tokens"),
        ("[tokens]\n'*' = '0123456789abcdef'", "tokens"),
        ("[tokens]\nblue = '0123456789abcdef'\nred = '0123456789abcdef'", "tokens.red"),
        ("not toml", "not TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, key: str) -> None:
    """A wrong or unknown setting is refused with the file and the key in the message."""
    file = tmp_path / "vl2.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: {key}")


def test_everywhere_can_be_called_at_home() -> None:
    """A listener on every address is called at the loopback by whoever is on the same machine."""
    assert [str(Endpoint(address, 1).reachable) for address in ("0.0.0.0", "::", "10.0.0.1")] == [  # noqa: S104
        "127.0.0.1:1",
        "[::1]:1",
        "10.0.0.1:1",
    ]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """A configuration file that was asked for and is not there is not replaced by defaults."""
    with pytest.raises(SettingsError, match=r"none\.toml: No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["openflow", "ovsdb", "rest"])
def test_leaving_the_loopback_needs_a_word(name: str) -> None:
    """No listener takes an address that others can reach unless the operator says that it may."""
    address = "10.0.0.1:9000"
    document = {name: {"listen": address if name == "rest" else [address]}}
    with pytest.raises(SettingsError, match=rf"{name}\.listen: 10\.0\.0\.1:9000 can be reached.*insecure_listen"):
        parse(document)
    assert parse({"insecure_listen": True, **document}).insecure_listen
    assert parse({"rest": {"listen": "[::1]:9696"}}).rest.listen.is_loopback


@pytest.mark.parametrize(
    "table", [{"tokens": {"blue": "hunter2"}}, {"tokens": "hunter2"}, {"tokens": {"b": ["hunter2"]}}]
)
def test_a_refused_token_is_not_repeated(table: dict[str, object]) -> None:
    """An error about a token does not contain it."""
    with pytest.raises(SettingsError) as caught:
        parse(table)
    assert "hunter2" not in str(caught.value)


def test_state_goes_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's state is in /var/lib/vl2, a user's in the XDG state directory."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_state_dir() == Path("/var/lib/vl2")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere/state")
    assert default_state_dir() == Path("/somewhere/state/vl2")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/u")
    assert default_state_dir() == Path("/home/u/.local/state/vl2")
