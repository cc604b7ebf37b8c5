"""Over which links does a packet between two hypervisors travel, and what must every fabric switch do about it?

The deciding half of the underlay: the physical graph, its routes, and the fabric pipeline with its compiler.  Nothing
here opens a socket, reads a clock or draws a random number; time arrives as an argument.
"""
