"""OpenFlow 1.5: the codec between our values and the wire, and the sessions with the switches."""
