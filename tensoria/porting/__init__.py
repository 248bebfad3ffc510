"""Models of other frameworks as programs, what is missing before, and the proof that they compute the same."""
