//! What makes a cluster's life hard on purpose, to see that nothing is lost.

pub mod proxy;
