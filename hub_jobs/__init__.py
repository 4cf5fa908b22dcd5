"""Qualcomm AI Hub: its client, the ledger of jobs, and a stand-in service for rehearsals."""
