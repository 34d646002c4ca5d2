"""What goes over Kafka: values, events, commands, topics, ids."""
