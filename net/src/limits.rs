//! Limits of connections, handshakes and streams, each with its unit.
