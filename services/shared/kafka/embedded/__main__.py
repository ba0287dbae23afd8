"""`python -m services.shared.kafka.embedded --data FOLDER`: run a broker in the foreground."""

import sys

from services.shared.kafka.embedded.broker import main

sys.exit(main())
