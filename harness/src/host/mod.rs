//! Runs replicas on hosts of their own and keeps them from outliving the harness.
//!
//! [`sandbox`] puts the controller into namespaces before anything else runs, a [`thread::Host`] is one host,
//! [`process`] is a replica on it ([`init`] keeps together what that starts, [`kin`] finds it), [`disk`] what that
//! writes to, and [`doctor`] tries what this machine permits. Whatever way the controller ends, the kernel ends its
//! replicas.

pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod doctor;
mod init;
mod kin;
pub(crate) mod process;
mod refusal;
pub(crate) mod sandbox;
pub(crate) mod thread;
