"""HAProxy as values. Pure: what HAProxy should be, what it is, and the text of its files."""
