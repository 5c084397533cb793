"""The real HAProxy: its runtime API, its files, its process. Decides nothing."""
