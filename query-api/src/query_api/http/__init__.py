"""HTTP that is not the business of one resource."""
