"""What knows nothing of losses: errors, checks of tensors, geometry, files that are whole, importing by name."""
