"""Pretraining of an encoder without labels: the job, the crops it sees and what is hidden from the network."""
