"""A domain as libvirt shows it to its hooks, after the example of its documentation (formatdomain.html)."""

from __future__ import annotations

ONE, OTHER = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f", "1a2b3c4d-8b5c-4eeb-8f00-d84eaa0aaa50"

_CARD = """
    <interface type='bridge'>
      <mac address='00:11:22:33:44:{number:02x}'/>
      <source bridge='br-int'/>
      <virtualport type='openvswitch'>
        <parameters interfaceid='{port}'/>
      </virtualport>
      <target dev='vnet{number}'/>
      <model type='virtio'/>
      <alias name='net{number}'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x{number:02x}' function='0x0'/>
    </interface>"""

_DOMAIN = """<domain type='kvm' id='1'>
  <name>red-1</name>
  <uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>
  <memory unit='KiB'>131072</memory>
  <vcpu placement='static'>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <source file='/var/lib/libvirt/images/red-1.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='00:16:3e:5d:c7:9e'/>
      <source network='default'/>
    </interface>{cards}
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


def domain(*ports: str) -> bytes:
    """A domain with a card for each port, and one that is none of ours."""
    cards = "".join(_CARD.format(number=number, port=port) for number, port in enumerate(ports, 1))
    return _DOMAIN.format(cards=cards).encode()
