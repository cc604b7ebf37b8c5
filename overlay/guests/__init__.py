"""What does a network tell the machines in it about themselves?

Pure decisions: what a lease says, and which services a network has.  The bytes are ``controller/guests``'.
"""
