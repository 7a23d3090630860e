//! The files under `schemas/` are what the code prints.
