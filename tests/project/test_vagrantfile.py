"""The Vagrant machine runs what the README tells a person to run."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUB = """
class Recorder < BasicObject
  def method_missing(name, *given, **named, &block)
    ::STDOUT.puts("#{name} #{given.inspect} #{named.inspect}") unless given.empty?
    block.call(self) if block
    self
  end
end
module Vagrant
  def self.configure(version) = yield(Recorder.new)
end
load ARGV.fetch(0)
"""


@pytest.fixture
def said() -> str:
    """What the Vagrantfile configures, read by Ruby itself."""
    done = subprocess.run(
        ["ruby", "-e", STUB, str(ROOT / "Vagrantfile")], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_the_vagrantfile_is_ruby_that_loads(said: str) -> None:
    """Ruby loads the Vagrantfile, and it configures Debian 12 with the kernel datapath."""
    assert 'box= ["debian/bookworm64"]' in said
    assert "modprobe openvswitch" in said


def test_provisioning_runs_the_readmes_commands(said: str) -> None:
    """Each command that provisioning runs in the checkout is one of the README's, and both main ones are run."""
    readme = (ROOT / "README.md").read_text()
    provisioned = set(re.findall(r"cd /vagrant && (sudo make \w+)", said))
    assert {"sudo make demo", "sudo make test"} <= provisioned
    assert [command for command in provisioned if command not in readme] == []


def test_rest_is_forwarded_to_the_loopback_only(said: str) -> None:
    """The REST API is reached from the person's own machine and from no other."""
    (forward,) = re.findall(r'network \["forwarded_port"\] (.*)', said)
    assert "9696" in forward
    assert "127.0.0.1" in forward
