//! `harness serve`: lets a browser look at all runs, over and going on.

use super::failure::{Failure, usage};
use crate::web::{Site, router};
use anyhow::{Context as _, Result};
use engine::live::say;
use records::RESULTS;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

/// Where, and what.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The port; 0 is any that is free.
    #[arg(long, default_value_t = 7007)]
    port: u16,
    /// The address to listen on; whoever reaches it can read every run.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Where runs are filed.
    #[arg(long, value_name = "DIRECTORY", default_value = RESULTS)]
    results: PathBuf,
}

/// Carries out `harness serve`, until it is told to stop.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let results = args.results.canonicalize();
    let results = results
        .with_context(|| {
            format!("{} cannot be opened; `harness test` makes it", args.results.display())
        })
        .map_err(usage)?;
    if !results.is_dir() {
        let why = format!("{} is no directory", args.results.display());
        return Err(Failure::Usage(why).into());
    }
    let program = std::env::current_exe().context("this program cannot find itself")?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    runtime.block_on(async {
        let asked = SocketAddr::new(args.host, args.port);
        let listener = TcpListener::bind(asked).await.map_err(|error| {
            Failure::Machine(format!("{asked}: {error}; --port takes another one"))
        })?;
        let address = listener.local_addr().context("this socket has no address")?;
        say(&format!("serving {} at http://{address}/", results.display()));
        let site = Site {
            results: Arc::new(results),
            program: Arc::new(program),
            names: Arc::new(names(args.host)),
            judge: Arc::new(Semaphore::new(1)),
        };
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
        // Whoever follows a run would keep a graceful end waiting.
        tokio::select! {
            served = async { axum::serve(listener, router(site)).await } => served.context("serving failed")?,
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// What this host may be called. On loopback only its own names; elsewhere whoever opened the door knows best.
fn names(host: IpAddr) -> Vec<String> {
    if host.is_loopback() {
        ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into()
    } else {
        Vec::new()
    }
}
