"""What do we hold; how does it come, stay and go?"""
