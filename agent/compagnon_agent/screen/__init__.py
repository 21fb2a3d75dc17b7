"""Looking at this machine's screen, pointing at it and, with a yes of its own, using its mouse and keyboard.

Each of the three is a program of its own: it may hang or crash alone, and what it needs is loaded there only.
"""
