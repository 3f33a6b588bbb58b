//! The real daemon between a stand-in kernel and a cluster in a box, for those tests that
//! run the program.

#![allow(dead_code, reason = "no test uses all of it")]

use kernel_sim::{StandInKernel, known_account};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use swnclient::{Client, Config, Notification, RegistrationRequest};
use swnd::authentication::Policy;
use swnd::control::{Control, Monitors};
use swnd::daemon::{Daemon, Mode, Observer};
use swnd::kernel::Link;
use swnd::reload::Reloading;
use swnd::report::Report;
use swnd::settings::Sources;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, NodeId, Profile};

/// A port for the endpoint mapper that needs no privilege.
pub(crate) const MAPPER_PORT: u16 = 13_501;

struct Told(Monitors);

impl Observer for Told {
    fn report(&self, report: &Report) {
        self.0.report(report);
    }

    fn notification(&self, notification: &Notification) {
        self.0.counters().notification(notification);
    }
}

pub(crate) struct Bench {
    pub(crate) cluster: RunningCluster,
    pub(crate) kernel: StandInKernel,
    pub(crate) net_name: String,
    pub(crate) addresses: [IpAddr; 3],
    pub(crate) path: PathBuf,
    daemon: tokio::task::JoinHandle<()>,
    _control: Control,
}

impl Bench {
    pub(crate) async fn start(name: &str) -> Self {
        let mut config = ClusterConfig::new(Profile::Samba, 3, unused_subnet());
        config.mapper_port = MAPPER_PORT;
        let net_name = config.net_name.to_lowercase().to_string();
        let addresses = [1, 2, 3].map(|n| config.address(NodeId(n)).unwrap());
        let cluster = RunningCluster::start(config).await.unwrap();
        let kernel = StandInKernel::with_module();
        let link = Link::open(kernel.clone()).unwrap();
        let client =
            Config { mapper_port: MAPPER_PORT, loss_spread: Duration::ZERO, ..Config::default() };
        let monitors = Monitors::default();
        let told = Told(monitors.clone());
        let daemon = Daemon::new(link, told, Policy::default(), Mode::Forward, |sink| {
            Client::start(client, sink)
        });
        let path = std::env::temp_dir().join(format!("swnctl-{name}-{}", std::process::id()));
        let configuration = path.with_extension("conf");
        std::fs::write(&configuration, "").unwrap();
        let sources = Sources::of_file(&configuration);
        let settings = sources.load().unwrap();
        let source = Arc::new(Reloading::new(daemon.source(), sources, settings));
        let control = Control::start(&path, source, monitors).unwrap();
        let source = daemon.source();
        let daemon = tokio::spawn(async move { drop(daemon.run().await) });
        // What is mounted before would be told at the next echo only.
        while !source.status().up {
            tokio::task::yield_now().await;
        }
        Self { cluster, kernel, net_name, addresses, path, daemon, _control: control }
    }

    pub(crate) fn mount(&self, net_name: &str) -> u32 {
        let request = RegistrationRequest::new(net_name)
            .share("data")
            .served_by(self.addresses[0])
            .scale_out();
        self.kernel.mount(&request, &known_account())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
        command.arg("--socket").arg(&self.path).args(arguments);
        command
    }

    pub(crate) async fn swnctl(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let Output { status, stdout, stderr } = output.await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.daemon.abort();
        let _ = std::fs::remove_file(self.path.with_extension("conf"));
    }
}
