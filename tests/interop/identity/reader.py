"""A client on the real `fhirpy` (PyPI): its CapabilityStatement, reads, sorted searches, pages.

Input: JSON on standard input, `{base, token, read: [type, id], absent: [type, id], type, search: {…}, sort, count}`. Output: what
the client saw, as JSON.
"""

import asyncio
import json
import sys
from typing import Any

from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import ResourceNotFound


async def is_absent(client: AsyncFHIRClient, kind: str, name: str) -> bool:
    """Whether a read finds nothing."""
    try:
        await client.reference(kind, name).to_resource()
    except ResourceNotFound:
        return True
    return False


async def seen(wanted: dict[str, Any]) -> dict[str, object]:
    """Everything the client is to ask."""
    client = AsyncFHIRClient(wanted["base"], authorization=f"Bearer {wanted['token']}")
    statement = await client.execute("metadata", method="get")
    read = await client.reference(*wanted["read"]).to_resource()
    search = client.resources(wanted["type"]).search(**wanted["search"]).sort(wanted["sort"])
    found = await search.limit(wanted["count"]).fetch_all()
    return {
        "version": statement["fhirVersion"],
        "read": read.to_reference().reference,
        "absent": await is_absent(client, *wanted["absent"]),
        "all": [one.to_reference().reference for one in found],
        "sorted by": [one.get_by_path([*wanted["path"]]) for one in found],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(seen(json.load(sys.stdin)))) + "\n")
