"""Workloads beside their peers and beside what a careful person writes by hand."""
