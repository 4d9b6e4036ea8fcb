"""The engine in Triton: a negative rule is printed as a kernel, and what streams tiles runs on the chip."""
