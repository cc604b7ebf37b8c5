"""Who listens to which multicast group of its network?

What ports have reported, how long it holds, and what follows from it for the hosts' switches.
"""
