//! States the five safety properties of Raft (paper, figure 3), one function each, over all servers at once.
