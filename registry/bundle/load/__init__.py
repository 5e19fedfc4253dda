"""How does a bundle get into the data folder?"""
