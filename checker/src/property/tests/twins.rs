//! Compares each fast check with a slow obvious one.
