"""Running: the retention job, replay and training rows over files, the command line, the demo and the embedded stack."""
