"""`lpcv submit` and `lpcv submissions`: what a person decides to send, proved step by step, and what was sent."""
