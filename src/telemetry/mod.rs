//! What the program says about itself. A sink at the bottom of the house: it calls nobody.

pub mod purge;
