"""A reverse proxy that enforces patient consent and security labels in front of a FHIR server."""

__version__ = "0.1.0"
