"""A SMART app on the real `fhirclient` (PyPI): EHR launch, authorization code with PKCE, reads, searches, pages.

Input: one line of JSON on standard input, `{base, client, scope, launch, redirect, endpoints, read, absent, search}`. Output:
the URL to authorize at; then one line of input, the URL of the callback; then what the app saw, as JSON.
"""

import json
import sys

from fhirclient.auth import FHIRAuth
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException


def connected(wanted: dict[str, str]) -> FHIRClient:
    """The client, knowing where to authorize.

    It looks for the endpoints in the CapabilityStatement alone (SMART 1.0). Where this names none it is told them.
    """
    client = FHIRClient(
        settings={
            "app_id": wanted["client"],
            "api_base": wanted["base"],
            "redirect_uri": wanted["redirect"],
            "scope": wanted["scope"],
            "launch_token": wanted["launch"],
        }
    )
    client.prepare()
    if client.authorize_url is None:
        state = {"app_id": wanted["client"], "redirect_uri": wanted["redirect"]}
        state |= {"aud": wanted["base"], "authorize_uri": wanted["authorize"]}
        client.server.auth = FHIRAuth.create("oauth2", state | {"token_uri": wanted["token"]})
    return client


def absent(client: FHIRClient, patient: str) -> int:
    """The status of a read that must find nothing."""
    try:
        Patient.read(patient, client.server)
    except FHIRNotFoundException:
        return 404
    return 200


def tell(line: str) -> None:
    """One line to whoever started this."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """The flow, from launch to pages."""
    wanted = json.loads(sys.stdin.readline())
    client = connected(wanted)
    tell(client.authorize_url)
    client.handle_callback(sys.stdin.readline().strip())
    search = Observation.where({"patient": client.patient_id, "_count": wanted["count"]})
    pages = [
        [entry.resource.relativePath() for entry in bundle.entry or []]
        for bundle in search.perform_iter(client.server)
    ]
    found = {
        "context": client.patient_id,
        "read": client.patient.relativePath(),
        "absent": absent(client, wanted["absent"]),
        "pages": pages,
    }
    tell(json.dumps(found))


if __name__ == "__main__":
    main()
