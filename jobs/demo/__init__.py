"""The demo: a public churn data set, streamed through the whole job."""
