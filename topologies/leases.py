"""What does a machine do with what a DHCP server told it?

A script for udhcpc, which hands over the lease in variables (see its manual page).
"""

from __future__ import annotations

from typing import Final

SCRIPT: Final = """\
#!/bin/sh
case "$1" in
deconfig)
    ip -4 address flush dev "$interface"
    ;;
bound|renew)
    ip address replace "$ip/$mask" ${broadcast:+broadcast "$broadcast"} dev "$interface"
    [ -z "$mtu" ] || ip link set dev "$interface" mtu "$mtu"
    if [ -n "$staticroutes" ]; then
        set -- $staticroutes
        while [ $# -ge 2 ]; do
            ip route replace "$1" via "$2" dev "$interface"
            shift 2
        done
    elif [ -n "$router" ]; then
        ip route replace default via "${router%% *}" dev "$interface"
    fi
    ;;
esac
"""
