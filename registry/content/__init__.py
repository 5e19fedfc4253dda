"""How does content come into the data folder, and when is it deleted?"""
