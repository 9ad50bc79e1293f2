"""What a decision obliges us to do: refuse or narrow the request, redact, withhold, seal page links. Pure.

Role: the obligation side of the PEP (XACML Obligation; decisions §7, §8). Nothing here changes what it was given:
it returns the new, and the list of what was done.
"""
