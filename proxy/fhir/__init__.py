"""FHIR as it stands on the wire: codings, references, interactions, search, Bundles. Pure.

Role: the vocabulary that PEP, PDP and PIP share (https://hl7.org/fhir/R4/http.html). Nothing in here
decides; nothing in here does I/O.
"""
