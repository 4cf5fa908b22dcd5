"""A stand-in for AI Hub on 127.0.0.1: the unmodified client talks to it, and this machine's CPU does the work."""
