"""
One file per sub-command, named after it, so that who knows the command knows the file; hence no rooms between them.

Heavy modules are imported inside functions.
"""
