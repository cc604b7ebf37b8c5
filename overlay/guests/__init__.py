"""What does a network tell the machines in it?

Pure decisions about names and addresses; ``controller.guests`` speaks the protocols.
"""
