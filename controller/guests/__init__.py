"""What do machines ask of their network, and what is it that answers them?"""
