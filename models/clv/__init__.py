"""Customer lifetime value: BG/NBD with Gamma-Gamma, and regression."""
