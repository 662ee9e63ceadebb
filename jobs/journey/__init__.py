"""Journeys: tests that play what happens to a customer, and say what the policy is to make of it (docs/journeys.md).

    step ──► event, or time that passes ──► the job's own kernels and policy, step by step ──► records ──► expectations

`plugin` has the fixtures for pytest. Without pytest: `journey.Journey`, and `expect.Expect` on it.
"""
