"""
The command-line tool `tidemark`: the whole stack on one machine, and every task of an operator.

One module a sub-command (or a group of them), with a function `register(app)`; `__main__.COMMANDS` lists them.
Modules import what is heavy inside their functions, so that each command starts fast.
"""
