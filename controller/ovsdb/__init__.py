"""How does a hypervisor join, and how does the controller learn which ports are plugged into it?

A hypervisor calls the controller with OVSDB (RFC 7047).  Reading the package in this order follows one call:
``server`` accepts it, ``peer`` and ``framing`` carry its messages, ``session`` keeps the conversation, ``replica``
holds the rows, ``join`` reads what the host asked for, ``repair`` decides what must be written to make br-int right,
and ``attachments`` turns rows into Plugged and Unplugged.
"""
