"""proxyctl publishes Podman pods through the host's HAProxy, by label."""

__version__ = "0.1.0"
