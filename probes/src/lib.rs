//! Linear readouts.
