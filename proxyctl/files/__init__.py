"""The disk: static routes, templates, remembered state; watched with watchdog."""
