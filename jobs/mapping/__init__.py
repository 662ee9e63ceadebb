"""Foreign records to canonical events, as a declarative YAML file says: `load` checks and compiles it, a `Source` maps records.

    document   the YAML with the place of every word, and all that is wrong with it
    load       file → Mapping: sources, each with its events
      paths, conditions, fields, kinds, units, times    the parts of an event, each checked at load and compiled to closures
    source     one record (a dict) → events, none, or the reason why not
    readers    a Kafka value → a record: JSON, Avro, Avro with a registry's id
    files      a file → records: JSON Lines, CSV, Avro, Parquet
    dryrun     what a mapping makes of samples
    editors    the JSON Schema of the mapping file

Pure functions: no Flink here, and a record is never an exception but a value, `Ok` or `Rejected`. docs/mapping.md has the rules.
"""
