"""What the service tells others about itself, over a unix socket. Read only."""
