"""The real Podman: what runs, and when to look again. Decides nothing about routes."""
