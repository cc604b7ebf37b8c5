"""How do I get a data center to play with?

Mininet topologies, real hypervisors and virtual machines in network namespaces, and the lab that runs them.  This
room talks to the controller as any user does: OVSDB (``ovs-vsctl``), OpenFlow targets and REST.
"""
