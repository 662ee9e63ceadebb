"""Events and outputs: their schemas, and the bytes that carry them.

`catalog` knows every record of the contract (`events/*.avsc`, `outputs/*.avsc`); `encode` and `files` turn JSON and CSV into framed
Avro; `decode` reads framed Avro into registers, compiled; `packed` is the form records have between source, operator and sink.
"""
