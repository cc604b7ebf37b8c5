"""How is a host emptied of its ports, a few at a time?"""
