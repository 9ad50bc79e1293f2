"""What the house says: policy files, value sets, terms. Role: PAP (policy administration point).

`model` is pure; only `load` touches the disk. A broken file never replaces a good one.
"""
