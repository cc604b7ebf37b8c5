"""How do decisions reach the switches, and how does the world reach the decisions?

The acting half of VL2: sessions to switches and hosts, discovery, the store, REST and the command line around the
pure rooms ``overlay`` and ``controller.fabric``.
"""
