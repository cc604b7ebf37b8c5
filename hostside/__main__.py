"""``python -m hostside``: the commands of this package without the rest of ``vl2``."""

import click

from hostside.agent_cli import command as agent
from hostside.libvirt_hook import command as hook

click.Group("hostside", {"qemu-agent": agent, "libvirt-hook": hook})()
