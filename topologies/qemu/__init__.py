"""How does a real guest live in a lab?

A machine of the kind ``qemu`` is a QEMU process at its hypervisor, with a kernel and a user space of its own: what
moves is memory and the state of devices, by QEMU's own live migration.

image       the kernel and the initramfs that guests boot, built once
init.sh     what the guest does
qmp         QEMU's monitor
console     running commands in the guest, over a serial line
machine     the guest itself: the same verbs as a namespace machine's network card
"""
