//! A broker in memory, for doctests and the simulator.
