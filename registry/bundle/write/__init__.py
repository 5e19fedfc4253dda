"""What goes into a bundle, and how is it written?"""
