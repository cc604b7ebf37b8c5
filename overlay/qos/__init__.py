"""How much may a port send and be sent, and how are its packets marked?"""
