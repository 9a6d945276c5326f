//! The screen: a pure model, a pure view, and a small loop around them. Does not know the network;
//! see link.rs for what comes in and goes out.

pub mod link;
