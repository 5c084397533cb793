"""The languages in which workloads can ask for routes. One file per language."""
