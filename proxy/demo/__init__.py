"""The demo: an embedded FHIR server with sample records, a gateway before it, and several people who ask the same.

Nothing here is decided or faked: every outcome is read from answers over HTTP, every reason from the journal. The
scenario (`scenario.SCENARIO`) is played by `play` against any server that holds `fhir-samples/`.
"""

from proxy.demo.playing import Outcome, play
from proxy.demo.stage import data_directory, demonstrate

__all__ = ["Outcome", "data_directory", "demonstrate", "play"]
