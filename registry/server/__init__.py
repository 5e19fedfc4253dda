"""Which processes run, and what does each of them do?"""
