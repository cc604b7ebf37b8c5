"""How fast, and how well, does VL2 do what it promises?

Every measurement is a module that runs alone (``python -m bench.failover``) or with all others (``python -m bench``).
"""
