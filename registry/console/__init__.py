"""How do people, and the machines that watch, see us?"""
