"""Which flow tables does br-int have, and who makes the flows of each?

One module per table: its declaration, its priorities, and a function per kind of flow.  ``overlay.pipeline`` puts them
into the packet's order.
"""
