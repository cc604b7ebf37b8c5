"""What runs on a hypervisor beside its guests, and tells the controller what only the hypervisor sees?

``vl2 qemu-agent`` watches QEMU's monitors, ``vl2 libvirt-hook`` is called by libvirt; both move ports by the bindings
of the REST API, as any orchestrator could.
"""
