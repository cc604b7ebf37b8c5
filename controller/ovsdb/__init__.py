"""How does a hypervisor or a fabric switch join, and how is its switch looked after?

Both call the controller with OVSDB (RFC 7047).  Reading the package in this order follows one call:
``server`` accepts it, ``peer`` and ``framing`` carry its messages, ``session`` keeps the conversation, ``replica``
holds the rows, ``join`` reads what the machine asked for.  A ``hypervisor``'s role needs ``repair``, which decides what
must be written to make br-int right, and ``attachments``, which turns rows into Plugged and Unplugged; a
``fabricswitch``'s needs ``watch``, which decides what must be written for BFD.
"""
