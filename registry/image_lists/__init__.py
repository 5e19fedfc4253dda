"""Which images do people want, by the files that say so?"""
