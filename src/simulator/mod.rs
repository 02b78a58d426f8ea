//! Zentra, simulated.
