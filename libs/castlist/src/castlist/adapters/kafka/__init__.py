"""The log of messages in Kafka, through aiokafka: the only package that knows it."""
