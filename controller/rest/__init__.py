"""How do people and orchestrators ask for networks?

OpenStack Networking (Neutron) v2.0 in shape, so that the ``openstack`` command, SDKs and Nova can be used, and ``/v1``
for what Neutron has no words for.  Requests become typed intents here or are refused; nothing here decides.
"""
