"""The provider of the network in a box, and the model to copy for a new one."""
