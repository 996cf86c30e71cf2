//! Runs replicas on hosts of their own and keeps them from outliving the harness.
//!
//! [`sandbox`] puts the controller into namespaces before anything else runs, a [`thread::Host`] is one host,
//! [`process`] is a replica on it ([`init`] keeps together what that starts, [`kin`] finds it), [`disk`] what that
//! writes to, and [`crate::doctor`] tries what this machine permits. Whatever way the controller ends, the kernel ends its
//! replicas.

pub mod clock;
pub mod disk;
mod init;
mod kin;
pub mod process;
pub(crate) mod refusal;
pub mod sandbox;
pub mod thread;
