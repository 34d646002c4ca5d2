"""`python3 deploy`: the local stack, the sample and the tests, on nothing but Python."""
