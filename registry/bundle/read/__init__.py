"""What does a bundle hold, and is it right?"""
