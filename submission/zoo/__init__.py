"""Ready-made models to learn from: the baseline and two prize-winning variants, rebuilt from public classes."""
