"""Who may call this controller, and as what?  Pure values: time, ids and secrets are arguments."""
