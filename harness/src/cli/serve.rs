//! `harness serve`: serves a web page of all runs, finished and running.

use super::failure::{Failure, usage_error};
use crate::web::{Site, router};
use anyhow::{Context as _, Result};
use engine::live::print_stderr;
use records::RESULTS;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

/// Options of `harness serve`.
#[derive(clap::Args)]
pub(crate) struct ServeArgs {
    /// Port; 0 chooses a free one.
    #[arg(long, default_value_t = 7007)]
    port: u16,
    /// Address to listen on; anyone who can connect can read every run.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Results directory.
    #[arg(long, value_name = "DIRECTORY", default_value = RESULTS)]
    results: PathBuf,
}

/// Runs `harness serve` until SIGINT or SIGTERM.
pub(crate) fn main(args: &ServeArgs) -> Result<ExitCode> {
    let results = args.results.canonicalize();
    let results = results
        .with_context(|| {
            format!("cannot open {}; `harness test` creates it", args.results.display())
        })
        .map_err(usage_error)?;
    if !results.is_dir() {
        let why = format!("{} is not a directory", args.results.display());
        return Err(Failure::Usage(why).into());
    }
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let asked = SocketAddr::new(args.host, args.port);
        let listener = TcpListener::bind(asked).await.map_err(|error| {
            Failure::Machine(format!(
                "cannot listen on {asked}: {error}; choose another port with --port"
            ))
        })?;
        let address = listener.local_addr().context("cannot read the address of the socket")?;
        print_stderr(&format!("serving {} at http://{address}/", results.display()));
        let site = Site {
            results: Arc::new(results),
            program: Arc::new(program),
            allowed_hosts: Arc::new(allowed_hosts(args.host)),
            recheck_permit: Arc::new(Semaphore::new(1)),
        };
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        // No graceful shutdown: an open event stream would delay it without end.
        tokio::select! {
            served = async { axum::serve(listener, router(site)).await } => {
                served.context("serving failed")?;
            }
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The allowed `Host` names: on loopback only its own, which prevents DNS rebinding; else any.
fn allowed_hosts(host: IpAddr) -> Vec<String> {
    if host.is_loopback() {
        ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into()
    } else {
        Vec::new()
    }
}
