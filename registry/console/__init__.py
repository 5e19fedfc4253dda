"""How do people and monitoring see us?"""
