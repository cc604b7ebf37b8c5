"""Does the controller of a lab get the settings that the lab was given?"""

from __future__ import annotations

import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from click.testing import CliRunner

from controller.settings import load
from topologies.cli import command
from topologies.controlplane import ControlPlane, read_setting


def test_settings_reach_the_controllers_configuration(tmp_path):
    """The controller reads whatever was set, beside what the lab writes itself."""
    given = {"overlay.grace_seconds": 2.5, "fabric.hold": 7, "fabric.router_mac": "02:00:00:00:00:01"}
    control = ControlPlane(tmp_path, "127.0.0.1", 0, ("red",), given)
    settings = load(control.config)
    assert settings.overlay.grace_seconds == 2.5
    assert settings.fabric.hold == 7
    assert str(settings.fabric.router_mac) == "02:00:00:00:00:01"
    assert settings.rest.listen.port == control.rest_port


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("2.5", 2.5),
        ("true", True),
        ('"7"', "7"),
        ("ecmp", "ecmp"),
        ("[1, 2]", "[1, 2]"),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_a_value_is_read_as_toml(text, value):
    """A number, a truth value or a quoted string is what TOML says; whatever else is a string as it stands."""
    assert read_setting(text) == value


@pytest.mark.parametrize("word", ["grace=1", "overlay.=1", "a.b.c=1", "overlay.x y=1", "tokens.red=x", "rest.listen=x"])
def test_a_setting_that_is_none_is_refused(word, tmp_path):
    """A name that is no section.key, or that the lab sets itself, is a mistake of one line, and no lab starts."""
    done = CliRunner().invoke(command, ["--root", str(tmp_path), "up", "--set", word])
    assert done.exit_code == 2
    assert done.output.startswith("vl2 lab: set: ")
    assert not list(tmp_path.iterdir())
