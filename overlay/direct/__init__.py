"""Which machines are attached to an edge switch, past every hypervisor's switch?

Their ports are called direct here: an SR-IOV virtual function, a bare-metal server.  The edge switch is their tunnel
endpoint and enforces their policy.
"""
