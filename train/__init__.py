"""Student, teacher, losses, and the distillation loop."""
