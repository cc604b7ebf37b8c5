"""Does a lab's controller get the settings that it was given, and no others?"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from click.testing import CliRunner

from controller.settings import load
from topologies.cli import command
from topologies.client import LabClient
from topologies.controlplane import ControlPlane
from topologies.errors import LabError, TopologyError
from topologies.overrides import merge, read, write
from topologies.pki import Pki

names = st.text(min_size=1, max_size=8).filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text))
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | names
documents = st.recursive(
    st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=4),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def test_settings_reach_the_configuration_file(root: Path) -> None:
    """What a lab was given stands in its controller's file beside what the lab says itself; the rest is as before."""
    plain = ControlPlane(root / "a", "172.31.0.1", 0, ("red",))
    told = ControlPlane(root / "b", "172.31.0.1", 0, ("red",), {"audit_interval": 2, "overlay": {"grace_seconds": 0.5}})
    assert plain.config.stat().st_mode & 0o077 == 0
    settings = load(told.config)
    assert settings.overlay.grace_seconds == 0.5
    assert settings.audit_interval == 2.0
    assert settings.openflow == load(plain.config).openflow
    assert settings.rest.listen.port == told.rest_port
    assert settings.tokens["red"].matches(told.project_files["red"].read_text().strip())
    assert load(plain.config).overlay.grace_seconds == 1.0


def test_a_lab_with_tls_listens_for_nothing_else(root: Path) -> None:
    """With certificates every listener of the lab's controller speaks TLS, without a word that it may do otherwise."""
    pki = Pki(root / "pki")
    pki.make("172.31.0.1", ["h1"], ["tor1=0000000000030001"])
    plane = ControlPlane(root / "a", "172.31.0.1", 0, ("red",), pki=pki)
    settings = load(plane.config)
    assert not settings.insecure_listen
    assert all(at.tls for at in (*settings.openflow.listen, *settings.ovsdb.listen, settings.rest.listen))
    assert plane.status().url == f"https://127.0.0.1:{plane.rest_port}"
    assert all(Path(file).exists() for file in (*pki.of("h1"), *pki.of("tor1")))
    with pytest.raises(LabError, match="certificates cannot be made"):
        pki.make("172.31.0.1", ["h1"], [])


def test_pairs_become_a_document() -> None:
    """A value is TOML, and a single word needs no quotes."""
    pairs = {
        "overlay.grace_seconds": "0.5",
        "overlay.vni_range": "[5, 9]",
        "fabric.la_supernet": "'10.0.0.0/16'",
        "fabric.word": "ecmp",
        "flag": "true",
    }
    assert read(pairs.items()) == {
        "overlay": {"grace_seconds": 0.5, "vni_range": [5, 9]},
        "fabric": {"la_supernet": "10.0.0.0/16", "word": "ecmp"},
        "flag": True,
    }


@given(documents)
def test_what_is_written_is_read_back(document) -> None:
    """Any document of tables and values survives being written as TOML."""
    assert tomllib.loads(write(document)) == document


def test_tables_are_merged_and_values_replaced() -> None:
    """Merging keeps what is only in one of the two."""
    made = {"a": {"x": 1, "y": 2}, "b": 3}
    assert merge(made, {"a": {"y": 5, "z": 6}, "c": 7}) == {"a": {"x": 1, "y": 5, "z": 6}, "b": 3, "c": 7}
    assert made == {"a": {"x": 1, "y": 2}, "b": 3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["overlay.colour=1"], "settings: overlay.colour: no such setting"),
        (["nowhere.key=1"], "settings: nowhere: no such setting"),
        (["overlay.grace_seconds=-1"], "settings: overlay.grace_seconds: -1 is not a time"),
        (["overlay.grace_seconds=soon"], "settings: overlay.grace_seconds: 'soon' is not a time"),
        (["overlay.grace_seconds=1 2"], "settings: overlay.grace_seconds: '1 2' is not a value of TOML"),
        (["overlay.grace_seconds=1\nx = 2"], "settings: overlay.grace_seconds"),
        (["overlay.grace_seconds=nan"], "settings: overlay.grace_seconds: nan is no value"),
        (
            ["overlay.grace_seconds=1979-05-27"],
            "settings: overlay.grace_seconds: datetime.date(1979, 5, 27) is no value",
        ),
        (["overlay.grace_seconds=1", "overlay.grace_seconds=2"], "settings: overlay.grace_seconds is set twice"),
        (["overlay=1", "overlay.grace_seconds=2"], "settings: overlay.grace_seconds: overlay was set to a value"),
        (["rest.listen='127.0.0.1:1'"], "settings: rest.listen: the lab sets it itself"),
        (["rest.tls=self-made"], "settings: rest.tls: the lab sets it itself"),
        (["tls.ca='/x'"], "settings: tls: the lab sets it itself"),
        (["tokens.red='0123456789abcdef'"], "settings: tokens: the lab sets it itself"),
        (["overlay.grace_seconds"], "set: 'overlay.grace_seconds' is not of the form key=value"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_made(words: list[str], said: str, root: Path) -> None:
    """``--set`` with a wrong key or value is one line that names it, exit code 2, and no directory."""
    options = [part for word in words for part in ("--set", word)]
    done = CliRunner().invoke(command, ["--root", str(root / "labs"), "up", *options])
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert said in done.output
    assert not (root / "labs").exists()


def test_a_lab_without_a_controller_takes_no_settings(root: Path) -> None:
    """Settings for a controller that is not there are a mistake."""
    with pytest.raises(TopologyError, match="no controller") as refused:
        LabClient("x", root).up(controller=False, settings={"overlay": {"grace_seconds": 1}})
    assert refused.value.field == "settings"


def test_the_controller_checks_a_file_without_running(tmp_path: Path) -> None:
    """``vl2 controller --check`` ends with 0 for a sound file and 2 for another, and listens to nobody."""
    file = tmp_path / "vl2.toml"
    for text, code in (("audit_interval = 2", 0), ("colour = 1", 2)):
        file.write_text(f'state_dir = "{tmp_path}/state"\n{text}\n')
        done = subprocess.run(
            [sys.executable, "-m", "controller", "controller", "--check", "--config", str(file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code
        assert ("colour: no such setting" in done.stderr) is bool(code)
    assert not (tmp_path / "state").exists()
