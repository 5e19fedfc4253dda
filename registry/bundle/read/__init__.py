"""What does a bundle contain, and is it undamaged?"""
