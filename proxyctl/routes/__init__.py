"""What the user wants. Pure: labels come in as strings, routes go out as typed values.

Nothing here knows HAProxy's syntax, a file, a clock or Podman's JSON.
"""
