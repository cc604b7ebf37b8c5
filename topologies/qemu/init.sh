#!/bin/sh
# What does a guest of the lab do?
#
# It configures eth0 as the kernel's command line says, serves HTTP (port 80, /srv) and echo (port 7), and follows
# commands that come over the second serial line (see topologies/qemu/console.py):
#
#   ID SECONDS BASE64            run the script; at once "ack ID", at its end "done ID STATUS xBASE64 xBASE64"
#
# with what the script has said on its standard output and error.  Commands run side by side.
#
#   vl2.mtu=N vl2.address=A/L,A/L vl2.gateway=A

export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /run /srv /tmp

while read -r module; do
    insmod "/modules/$module"
done </modules/order

read -r told </proc/cmdline
for word in $told; do
    case "$word" in
    vl2.name=*) hostname "${word#*=}" ;;
    vl2.mtu=*) mtu=${word#*=} ;;
    vl2.address=*) addresses=$(echo "${word#*=}" | tr , ' ') ;;
    vl2.gateway=*) gateway=${word#*=} ;;
    esac
done

# Duplicate address detection would keep an IPv6 address from being used for a second.
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
ip link set dev lo up
ip link set dev eth0 mtu "${mtu:-1500}" up
for address in $addresses; do
    ip address add "$address" dev eth0
done
[ -z "$gateway" ] || ip route add default via "$gateway" dev eth0

httpd -p 80 -h /srv
nc -ll -p 7 -e cat &

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1

# A line at a time: busybox has no flock, but mkdir succeeds for one alone.
say() {
    until mkdir /run/saying 2>/dev/null; do usleep 2000; done
    echo "$*" >&3
    rmdir /run/saying
}

perform() {
    here=/run/$1
    echo "$3" | base64 -d >"$here.sh"
    timeout -s KILL "$2" sh "$here.sh" </dev/null >"$here.out" 2>"$here.err" 3>&-
    say "done $1 $? x$(base64 -w0 <"$here.out") x$(base64 -w0 <"$here.err")"
    rm -f "$here.sh" "$here.out" "$here.err"
}

# The shell begins a line anew when a child ends while it reads: whoever reads must have none.  So each command is a
# grandchild, whose end only the first process hears of.
follow() {
    say ready
    while read -r id seconds script <&3; do
        say "ack $id"
        (perform "$id" "$seconds" "$script" &)
    done
}

follow &
while :; do sleep 1000; done
