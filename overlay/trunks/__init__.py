"""What are trunk ports?

A machine that is in many networks by one interface: each VLAN on the tap of a trunk's *parent* is a *sub-port*, a port
of its own in a network of its own.  A sub-port is plugged, bound and moved with its parent and never by itself.
"""
