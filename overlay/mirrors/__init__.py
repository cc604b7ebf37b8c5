"""Who gets copies of whose frames?

Neutron's tap-as-a-service: tap services, and the tap flows that lead to them.
"""
