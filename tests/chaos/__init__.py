"""Faults against the whole job on real components, one after the other, and a comparison with `replay` after each: `make chaos`.

What is where:

    feed.py ──steady rate──► Kafka ──► the job on a standalone cluster ──► Kafka, Redis
                                              ▲                              │
    faults/  one fault a round, at a random moment                           ▼
    rounds.py  runs a round: feed, fault, recovery, drain ──► compare.py, view.py: lost, duplicated, changed; the view
    report.py  figures of each fault: Markdown, JUnit XML, JSON, and a table in docs/faults.md
"""
