"""Who may talk to whom?

Neutron's security groups, their rules, and the address groups that rules may name.
"""
