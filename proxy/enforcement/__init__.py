"""The flow of every request, in order: read `flow` first. Role: PEP (policy enforcement point; architecture §2).

House rules that hold here:
1. These modules sequence; they hold no FHIR path, no label, no policy word.
2. Refusals depend on the shape of the request and on who asks, never on hidden data. What is hidden is absent.
3. Rebuild, never forward: what goes up is written anew from the understood request.
4. One way out: every request ends in exactly one journal entry, durable before its answer leaves.
5. A resource leaves as it came only when its Decision is "permit, nothing to change".
"""
