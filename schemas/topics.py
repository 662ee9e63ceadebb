"""What a Kafka topic may be called."""

from __future__ import annotations

import re

TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
