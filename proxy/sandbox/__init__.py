"""An embedded FHIR R4 and R5 server for the demo, for tests and for integration tests: no production server.

It has no authentication, no validation beyond shape, and it keeps everything in memory (a SQLite file only makes
it survive a restart). Where it and HAPI FHIR are asked the same, they answer the same; `tests/sandbox/conformance.py`
is the list of cases that both must pass.

    server ── http ── interactions ── transaction, search, include, bundle, capability ── store ── body
"""
