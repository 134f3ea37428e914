"""Runs workloads in processes of their own, in turns, and reports on them."""
