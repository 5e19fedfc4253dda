"""What is to cross where no network goes, and how does it arrive whole?"""
