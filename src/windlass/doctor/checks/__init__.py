"""One check in each file: ``gather`` looks at a machine and returns facts, ``judge`` is a function of them.

``LOOKS_AT`` is the line of the guide.
"""
