"""The terminal app for those who come in over the network, each with a role."""
