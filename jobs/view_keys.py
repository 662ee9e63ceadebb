"""Where a record of the job is found in Redis: one template a channel, for the job's sink and for `keepline rebuild-view`."""

from keepline.schemas.packed import DECISIONS, INTERVENTIONS, SCORES

VIEW_KEYS = {
    SCORES: "keepline:score:{customer_id}:{score}",
    INTERVENTIONS: "keepline:intervention:{customer_id}",
    DECISIONS: "keepline:decision:{customer_id}",
}
"""By channel, a template over the record's fields."""
