"""`python -m outdial.lab.carrier`: the network in a box without the rest of the command line."""

import sys

from outdial.lab.carrier.server import main

sys.exit(main())
