"""Who asks: a bearer token becomes a `Principal` (SMART, IUA/PCF, UDAP, Pro Santé Connect).

Role: part of the PEP. Verification needs keys and the time, both are arguments; `principal` and `scopes` are pure.
"""
