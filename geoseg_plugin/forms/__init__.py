"""Controls and parameters made from what the contract declares of a job's fields."""
