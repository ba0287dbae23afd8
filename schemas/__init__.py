"""
What is written on the topics and in the tables: records, topics, tables, and the codec between values and bytes.

Data first: Avro schemas by record and version, one YAML record a topic, SQL migrations, and `lock.json` with the id
of each schema file. Nothing here imports from `services`.
"""
