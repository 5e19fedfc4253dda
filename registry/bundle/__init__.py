"""How do images cross an air gap, in files that can be verified?"""
