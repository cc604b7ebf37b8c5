"""``vl2 pki`` makes certificates, keeps them to itself and overwrites nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controller import certificates
from controller.pki_cli import command
from controller.settings import parse
from controller.trust import check


@pytest.fixture
def pki(tmp_path: Path):
    """Type after ``vl2 pki``."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(command, [*words, "--dir", str(tmp_path / "pki")])

    return run


def _files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_it_prints_is_a_configuration(pki, tmp_path: Path) -> None:
    """What init prints can be put into the controller's file as it stands, and the files are sound."""
    made = pki("init", "--name", "10.0.0.1")
    assert made.exit_code == 0, made.output
    settings = parse(tomllib.loads(made.output))
    check(settings)
    assert settings.tls is not None
    assert settings.openflow.listen[0].tls
    assert "10.0.0.1" in certificates.facts((tmp_path / "pki/controller.pem").read_bytes()).names


def test_files_are_for_nobody_else(pki, tmp_path: Path) -> None:
    """Directories have mode 0700 and files 0600."""
    pki("init")
    assert pki("host", "h1", "tor1=0000000000030001").exit_code == 0
    for path in (tmp_path / "pki", *(tmp_path / "pki").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_hosts_commands(pki, tmp_path: Path) -> None:
    """For each machine it is told which file goes where and what to type there; only a switch sets a controller."""
    pki("init")
    said = pki("host", "h1", "--controller", "fd00::1").output
    assert f"{tmp_path}/pki/hosts/h1-key.pem -> /etc/openvswitch/vl2-key.pem" in said
    assert "ovs-vsctl set-manager ssl:[fd00::1]:6640" in said
    assert "ovs-vsctl set-ssl /etc/openvswitch/vl2-key.pem" in said
    assert "set-controller" not in said
    assert (
        "ovs-vsctl set-controller br0 ssl:10.0.0.1:6653"
        in pki("host", "tor1=0000000000030001", "--controller", "10.0.0.1").output
    )


def test_names_say_who_it_may_be(pki, tmp_path: Path) -> None:
    """A certificate gives a hypervisor its name, a switch its datapath id, and its name too if it is an edge."""
    pki("init")
    pki("host", "h1", "10.0.0.5", "tor1=00000000000300AB")
    assert certificates.facts((tmp_path / "pki/hosts/h1.pem").read_bytes()).names == ("h1",)
    odd = certificates.facts((tmp_path / "pki/hosts/10.0.0.5.pem").read_bytes())
    assert odd.names == ("10.0.0.5",), "a host may be called like an address"
    switch = certificates.facts((tmp_path / "pki/hosts/tor1.pem").read_bytes())
    assert (switch.common_name, switch.names) == ("tor1", ("00000000000300ab",))
    pki("host", "--edge", "tor2=00000000000300AC")
    edge = certificates.facts((tmp_path / "pki/hosts/tor2.pem").read_bytes())
    assert set(edge.names) == {"00000000000300ac", "tor2"}, "machines are wired to it, it is a host to them"


def test_nothing_is_overwritten(pki, tmp_path: Path) -> None:
    """A second init or certificate of a host changes no byte, unless forced; the authority outlives a renewal."""
    pki("init")
    pki("host", "h1")
    before = _files(tmp_path)
    for words in (("init",), ("host", "h1")):
        refused = pki(*words)
        assert (refused.exit_code, "exists; --force" in refused.output) == (2, True), refused.output
    assert _files(tmp_path) == before
    assert pki("host", "h1", "--force").exit_code == 0
    changed = {name for name, content in _files(tmp_path).items() if before[name] != content}
    assert changed == {"pki/hosts/h1.pem", "pki/hosts/h1-key.pem"}
    (tmp_path / "pki/controller.pem").unlink()
    (tmp_path / "pki/controller-key.pem").unlink()
    assert pki("init").exit_code == 0
    assert _files(tmp_path)["pki/ca.pem"] == before["pki/ca.pem"]
    assert pki("init", "--force").exit_code == 0
    assert _files(tmp_path)["pki/ca.pem"] != before["pki/ca.pem"]


def test_a_stolen_certificate_is_revoked(pki, tmp_path: Path) -> None:
    """A revoked certificate is listed and removed, the others' stay, and the list only grows."""
    pki("init")
    pki("host", "h1", "h2", "h3")
    serials = {
        name: certificates.facts((tmp_path / f"pki/hosts/{name}.pem").read_bytes()).serial for name in ("h1", "h2")
    }
    assert certificates.revoked((tmp_path / "pki/revoked.pem").read_bytes()) == frozenset()
    for name in ("h1", "h2"):
        assert pki("revoke", name).exit_code == 0
    assert certificates.revoked((tmp_path / "pki/revoked.pem").read_bytes()) == set(serials.values())
    assert sorted(path.name for path in (tmp_path / "pki/hosts").iterdir()) == ["h3-key.pem", "h3.pem"]
    assert pki("host", "h1").exit_code == 0
    assert certificates.facts((tmp_path / "pki/hosts/h1.pem").read_bytes()).serial not in serials.values()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("host", "h 1"), "is not a host name"),
        (("host", "../h1"), "is not a host name"),
        (("host", "h1-key"), "ends like the name of a key's file"),
        (("host", "0000000000030001"), "reads like a datapath id"),
        (("revoke", "h9"), "has no certificate here"),
        (("revoke", "../ca"), "has no certificate here"),
        (("host", "tor1=3"), "is not a datapath id"),
        (("host", "h9", "tor1="), "is not a datapath id"),
        (("init", "--name", "*.example.org", "--force"), "neither a name nor an IP address"),
    ],
)
def test_mistakes_are_one_line(pki, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """A mistake is told in a line, with exit code 2, and leaves every file as it was."""
    pki("init")
    before = _files(tmp_path)
    result = pki(*words)
    assert result.exit_code == 2
    assert result.output.startswith("vl2 pki: ")
    assert said in result.output
    assert result.output.count("\n") == 1
    assert _files(tmp_path) == before


def test_an_open_directory_is_not_taken(pki, tmp_path: Path) -> None:
    """Keys are not put where others can look, and the mode of a directory that is there is left alone."""
    (tmp_path / "pki").mkdir(mode=0o755)
    (tmp_path / "pki").chmod(0o755)
    refused = pki("init")
    assert (refused.exit_code, "chmod 700" in refused.output) == (2, True)
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o755
    assert _files(tmp_path) == {}


def test_show_lists_with_expiry(pki, tmp_path: Path) -> None:
    """Each certificate is listed with its names and its last day; one that is none is said to be so."""
    assert pki("show").exit_code == 2
    assert pki("host", "h1").exit_code == 2, "without an authority there is no certificate"
    pki("init")
    pki("host", "h1", "--days", "10")
    (tmp_path / "pki/hosts/bad.pem").write_text("rubbish")
    lines = pki("show").output.splitlines()
    assert [line.split()[0] for line in lines] == ["ca.pem", "controller.pem", "hosts/bad.pem", "hosts/h1.pem"]
    assert "not a certificate" in lines[2]
    assert "9 days left  h1" in lines[3]
