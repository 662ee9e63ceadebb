"""Jobs on a Flink cluster: submitting, looking after and ending them. Nothing here starts servers; that is `jobs/stack`."""
