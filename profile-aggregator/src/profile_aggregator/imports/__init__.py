"""Archives of galleries, taken in as facts and decisions by the gallery's single writer."""
