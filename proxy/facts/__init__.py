"""What is so: Consents, care team, roles, as dated values. Role: PIP (policy information point).

Facts are about patients and principals, never answers; a fact that could not be had is `None`, and denies.
"""
