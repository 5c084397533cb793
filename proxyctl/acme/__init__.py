"""Certificates from an ACME CA such as Let's Encrypt (RFC 8555). Runs apart from the service.

Speaks to the CA and to the disk, never to Podman or HAProxy. What is wanted is read from a file
that the service writes; what was got is written to files that the service reads.
"""
