"""Which virtual machine is who, and what must every hypervisor's switch do about it?

The deciding half of VL2: domain values, the directory, the life of a move, and the br-int pipeline with its
compiler.  Nothing here opens a socket, reads a clock or draws a random number; those arrive as arguments.
"""
