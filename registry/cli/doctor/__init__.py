"""`entrepot doctor`: is all well with this mirror, and do the clients of this machine use it?"""
