"""`python -m cockpit.agent --settings < JSON`: the process that watches one box."""

import sys

from cockpit.agent.main import main

sys.exit(main())
