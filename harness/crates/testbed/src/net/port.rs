//! The two ports of a replica.

/// What a replica listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Clients.
    Client,
    /// Other replicas.
    Peer,
}
