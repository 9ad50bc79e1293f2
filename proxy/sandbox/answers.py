"""Answers to reads and writes, with their version headers (https://hl7.org/fhir/R4/http.html#versions)."""

from proxy.sandbox.model import Answer, Ask, FhirError, Version, outcome


def content(ask: Ask, version: Version) -> Answer:
    """Answer a read of a version; 304 if the client has it already (If-None-Match)."""
    headers = {
        "ETag": version.etag,
        "Last-Modified": version.last_modified,
        "Content-Location": version.versioned_url(ask.base),
    }
    if ask.headers.get("if-none-match") == version.etag:
        return Answer(304, b"", headers, version)
    return Answer(200, version.body or b"", headers, version)


def written(ask: Ask, status: int, version: Version) -> Answer:
    """Answer a write with the new version, as much of it as `Prefer` asks for."""
    url = version.versioned_url(ask.base)
    headers = {
        "ETag": version.etag,
        "Last-Modified": version.last_modified,
        "Content-Location": url,
        "Location": url,
    }
    wanted = ask.headers.get("prefer", "")
    body = version.body or b""
    if "return=minimal" in wanted:
        body = b""
    elif "return=OperationOutcome" in wanted:
        body = outcome("information", "informational", f"stored {version.local}")
    return Answer(status, body, headers, version)


def require_match(ask: Ask, before: Version | None) -> None:
    """Refuse a write whose If-Match names another version (HAPI answers 409)."""
    wanted = ask.headers.get("if-match")
    if wanted is None:
        return
    # HAPI creates what is not there, whatever If-Match says.
    if before is not None and wanted.removeprefix("W/").strip('"') != str(before.version):
        raise FhirError(409, "conflict", "If-Match does not name the current version")


def deleted(gone: Version | None) -> Answer:
    """Answer a delete; None if there was nothing to delete."""
    text = "nothing to delete" if gone is None else f"deleted {gone.local}"
    headers = {} if gone is None else {"ETag": gone.etag}
    return Answer(200, outcome("information", "informational", text), headers, gone)
