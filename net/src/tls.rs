//! TLS configurations and certificate verifiers.
