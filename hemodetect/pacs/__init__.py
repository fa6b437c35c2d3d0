"""From the PACS and back: receiving studies, the worklist, sending results."""

import logging

for _name in ("pynetdicom", "dicomweb_client", "retrying", "urllib3"):
    # They write names, numbers and addresses with search terms of what is sent and asked.
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)
