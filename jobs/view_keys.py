"""Where a record of a job is found in Redis: one template a channel, for the job's sink and for `keepline rebuild-view`."""

from keepline.schemas.packed import APP_PREDICTIONS, DECISIONS, INTERVENTIONS, SCORES

VIEW_KEYS = {
    SCORES: "keepline:score:{customer_id}:{score}",
    INTERVENTIONS: "keepline:intervention:{customer_id}",
    DECISIONS: "keepline:decision:{customer_id}",
}
"""The retention job's, by channel: a template over the record's fields."""
NEXT_APP_KEYS = {APP_PREDICTIONS: "keepline:next-app:{customer_id}"}
"""The next-app job's. No topic rebuilds it: each unlock writes it anew."""
