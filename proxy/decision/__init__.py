"""May it? Pure, total, never raises. Role: PDP (policy decision point).

Laws (decisions §2), each a property in tests/properties:
1. No rules, no consent: deny. 2. Order never matters. 3. A deny overrides unless a rule names and lifts it.
4. Unknown is a value and it denies. 5. Adding a deny or removing a permit never discloses more.
"""
