"""Published competition models, rebuilt from public library classes."""
