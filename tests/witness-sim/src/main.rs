//! A witness cluster in a box, as a program.

use std::process::ExitCode;
use std::time::Duration;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{Cluster, ClusterConfig, Profile, Script, Service};

const USAGE: &str = "\
Runs a witness cluster on addresses of 127.0.0.0/8 and prints what happens.

Usage: witness-sim [OPTIONS]

  --nodes N            how many nodes, 1 to 200 [3]
  --profile NAME       windows2012, windows2012r2, samba or onefs [samba]
  --subnet A.B.C       node N has the address A.B.C.10+N [one that is free]
  --mapper-port PORT   where the endpoint mappers listen [135, which needs root]
  --net-name NAME      the cluster's NetBIOS name [CLUSTER]
  --user NAME          who may log on [alice]
  --password PASSWORD  and with which password [secret]
  --script FILE        what is done to the cluster, a step on each line:
                         at 5s  client-move all to node 3
                         at 10s node 1 down
                         at 20s node 1 up
  --for TIME           how many seconds to run [until interrupted]
  --connections        print every connection and every call, too
  --help               this text
";

/// What the command line asks for.
struct Options {
    config: ClusterConfig,
    script: Option<Script>,
    run_for: Option<Duration>,
    connections: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("witness-sim: {error}\nTry `witness-sim --help`.");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(options)),
        Err(error) => Err(error.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("witness-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut profile = Profile::Samba;
    let mut nodes = 3;
    let mut subnet = None;
    let mut mapper_port = None;
    let mut net_name = None;
    let mut user = None;
    let mut password = None;
    let mut script = None;
    let mut run_for = None;
    let mut connections = false;
    while let Some(option) = args.next() {
        if option == "--help" || option == "-h" {
            return Ok(None);
        }
        if option == "--connections" {
            connections = true;
            continue;
        }
        let value = args.next().ok_or(format!("{option} needs a value"))?;
        let invalid = || format!("{value:?} is no value for {option}");
        match option.as_str() {
            "--nodes" => {
                nodes = value.parse().ok().filter(|n| (1..=200).contains(n)).ok_or_else(invalid)?;
            }
            "--profile" => profile = Profile::from_name(&value).ok_or_else(invalid)?,
            "--subnet" => subnet = Some(parse_subnet(&value).ok_or_else(invalid)?),
            "--mapper-port" => mapper_port = Some(value.parse().map_err(|_| invalid())?),
            "--net-name" => net_name = Some(value),
            "--user" => user = Some(value),
            "--password" => password = Some(value),
            "--script" => {
                let text = std::fs::read_to_string(&value).map_err(|e| format!("{value}: {e}"))?;
                script = Some(text.parse().map_err(|e| format!("{value}: {e}"))?);
            }
            "--for" => {
                let seconds = value.parse().map_err(|_| invalid())?;
                run_for = Some(Duration::try_from_secs_f64(seconds).map_err(|_| invalid())?);
            }
            _ => return Err(format!("there is no option {option}")),
        }
    }
    let mut config = ClusterConfig::new(profile, nodes, subnet.unwrap_or_else(unused_subnet));
    config.mapper_port = mapper_port.unwrap_or(config.mapper_port);
    config.net_name = net_name.map_or(config.net_name, Into::into);
    for known in &mut config.users {
        known.name = user.clone().map_or(known.name.clone(), Into::into);
        known.password = password.clone().map_or(known.password.clone(), Into::into);
    }
    Ok(Some(Options { config, script, run_for, connections }))
}

fn parse_subnet(text: &str) -> Option<[u8; 3]> {
    let parts: Result<Vec<u8>, _> = text.split('.').map(str::parse).collect();
    parts.ok()?.try_into().ok()
}

async fn run(options: Options) -> Result<(), String> {
    let Options { config, script, run_for, connections } = options;
    let cluster = RunningCluster::start(config).await.map_err(|error| error.to_string())?;
    let mut events = cluster.events();
    println!("{}", cluster.with(|cluster, _| describe(cluster)).await);
    if let Some(script) = script {
        cluster.play(script).await;
    }
    let end = tokio::time::sleep(run_for.unwrap_or(Duration::from_secs(1 << 30)));
    tokio::pin!(end);
    loop {
        tokio::select! {
            Some(event) = events.recv() => {
                if connections || !event.what.is_detail() {
                    println!("{:>10.3} s  {}", event.at.as_secs_f64(), event.what);
                }
            }
            () = &mut end => return Ok(()),
        }
    }
}

/// Who the cluster is and where it listens.
fn describe(cluster: &Cluster) -> String {
    let config = cluster.config();
    let mut text = format!("{}, also known as {}\n", config.dns_name(), config.net_name);
    for user in &config.users {
        text += &format!("  user {user:?}, password {}\n", user.password);
    }
    for address in cluster.topology().addresses() {
        let name = cluster.topology().node(address.owner).map_or("", |node| &node.name);
        let ports = cluster.topology().listeners().into_keys().filter_map(|listener| {
            let (_, target) = cluster.topology().reach(listener);
            let (_, service) = target.filter(|_| listener.ip() == address.ip)?;
            let service = match service {
                Service::Mapper => "endpoint mapper",
                Service::Witness => "witness service",
            };
            Some(format!("{service} on port {}", listener.port()))
        });
        let ports: Vec<String> = ports.collect();
        text += &format!("  {name} at {}: {}\n", address.ip, ports.join(", "));
    }
    text
}
