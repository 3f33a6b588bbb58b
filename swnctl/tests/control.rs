//! The program and the real daemon, between a stand-in kernel and a cluster in a box.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

mod bench;

use bench::{Bench, MAPPER_PORT};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use swnclient::RegistrationRequest;
use swnd::kernel::KernelAuth;
use witness_sim::{Destination, NodeId, Step, Who};

#[tokio::test]
async fn a_mount_is_waited_for_and_shown_as_text_and_as_json() {
    let bench = Bench::start("status").await;
    let id = bench.mount(&bench.net_name).to_string();
    let share = format!("//{}/data", bench.net_name);
    assert_eq!(bench.swnctl(&["wait", &share]).await, (Some(0), String::new(), String::new()));

    let (code, text, _) = bench.swnctl(&[]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 of 1 mounts registered\n"), "{text}");
    let row = text.lines().find(|line| line.contains(r"\data")).unwrap();
    assert!(row.contains(&bench.addresses[0].to_string()) && row.contains("registered"), "{row}");

    let (code, json, _) = bench.swnctl(&["--json", "status", &id]).await;
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(status["registrations"][0]["state"], "registered");
    assert_eq!(status["registrations"][0]["version"], 2);

    let (_, list, _) = bench.swnctl(&["list"]).await;
    assert!(list.lines().nth(1).unwrap().starts_with(&id), "{list}");
}

#[tokio::test]
async fn a_mount_that_cannot_be_registered_is_shown_with_what_to_do() {
    let bench = Bench::start("problem").await;
    let id = bench.mount("10.0.0.9").to_string();
    let (code, _, error) = bench.swnctl(&["wait", &id, "--timeout", "1"]).await;
    assert_eq!(code, Some(124), "{error}");
    assert!(error.contains("mount by the cluster's name"), "{error}");
    let (code, text, _) = bench.swnctl(&["status"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.lines().last().unwrap().contains("mount by the cluster's name"), "{text}");
    assert_eq!(bench.swnctl(&["retry", &id]).await.0, Some(0));
}

#[tokio::test]
async fn a_monitor_shows_a_client_move() {
    let bench = Bench::start("monitor").await;
    bench.mount(&bench.net_name);
    let share = format!("//{}/data", bench.net_name);
    let mut monitor = bench.command(&["monitor", &share]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    assert_eq!(bench.swnctl(&["wait", &share]).await.0, Some(0));
    let shown = tokio::task::spawn_blocking(move || {
        lines.find(|line| line.as_ref().unwrap().contains("the kernel accepted it"))
    });
    let to = Destination::Node(NodeId(3));
    // Until the monitor is connected, what happens is not shown.
    while !shown.is_finished() {
        bench.cluster.run(Step::ClientMove { who: Who::All, to: to.clone() }).await;
        assert_eq!(bench.swnctl(&["wait", &share]).await.0, Some(0));
    }
    let line = shown.await.unwrap().unwrap().unwrap();
    assert!(line.contains(&bench.addresses[2].to_string()), "{line}");
    monitor.kill().unwrap();
    monitor.wait().unwrap();
}

#[tokio::test]
async fn an_unknown_mount_and_a_daemon_that_does_not_run_have_exit_codes_of_their_own() {
    let bench = Bench::start("codes").await;
    for arguments in [["status", "//no/such"], ["retry", "77"]] {
        let (code, _, error) = bench.swnctl(&arguments).await;
        assert_eq!(code, Some(4), "{error}");
        assert!(error.contains("is it mounted with the option witness?"), "{error}");
    }
    for arguments in [&["list"][..], &["monitor"], &["log-level"], &[]] {
        let arguments = [&["--socket", "/nonexistent"], arguments].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_swnctl")).args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("systemctl enable --now swnd"), "{error}");
        if arguments.len() == 2 {
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains("cifs mounts have the option witness"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_check_without_a_mount_goes_as_far_as_it_can_and_its_exit_code_tells() {
    let bench = Bench::start("check").await;
    let (code, text, _) = bench.swnctl(&["check", "//127.0.0.1/data"]).await;
    assert_eq!(code, Some(1), "{text}");
    for row in ["ok    daemon.running ", "FAIL  mount.name ", "skip  mount.option "] {
        assert!(text.lines().any(|line| line.starts_with(row)), "{row}\n{text}");
    }
    let (_, json, _) = bench.swnctl(&["check", "//127.0.0.1/data", "--json"]).await;
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["id"] == "mount.name").unwrap();
    assert_eq!(row["outcome"], "fail");
    assert_eq!(row["advice"], "mount by the cluster's name; no witness registers an address");
    assert_eq!(bench.swnctl(&["check", "/proc"]).await.0, Some(4));
}

#[tokio::test]
async fn metrics_tell_of_each_mount_and_of_a_daemon_that_does_not_run() {
    let bench = Bench::start("metrics").await;
    bench.mount("10.0.0.9");
    while !bench.swnctl(&["list"]).await.1.contains("10.0.0.9") {}
    let (code, text, _) = bench.swnctl(&["metrics"]).await;
    assert_eq!(code, Some(0));
    let failed = "swnd_registration_failures_total{reason=\"net_name_is_address\"} 1";
    assert!(text.lines().any(|line| line == failed), "{text}");
    let unwatched = "swnd_mount_registered{net_name=\"10.0.0.9\",share_name=\"data\"} 0";
    assert!(text.lines().any(|line| line == unwatched), "{text}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
    let output = command.args(["metrics", "--socket", "/nonexistent"]).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("\nswnd_up 0\n"));
}

#[tokio::test]
async fn a_reload_tells_what_has_changed_or_why_nothing_has() {
    let bench = Bench::start("reload").await;
    let configuration = bench.path.with_extension("conf");
    let write = |text: &str| std::fs::write(&configuration, text).unwrap();
    write("auth = \"ntlm\"\ndead-after = 20\n");
    let (code, text, error) = bench.swnctl(&["reload"]).await;
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(text, "changed: auth; only a restart changes: dead-after\n");
    let request = RegistrationRequest::new(bench.net_name.as_str()).served_by(bench.addresses[0]);
    let id = bench.kernel.mount(&request, &KernelAuth::Kerberos).to_string();
    let (_, _, error) = bench.swnctl(&["wait", &id, "--timeout", "1"]).await;
    assert!(error.contains("auth is ntlm"), "{error}");

    write("auth = \"ntml\"\nkeep_alive = 20\n");
    let (code, text, error) = bench.swnctl(&["reload"]).await;
    assert_eq!((code, text.as_str()), (Some(1), ""));
    let path = configuration.display();
    let expected = format!(
        "swnctl: nothing is changed: {path}:1: auth: \"ntml\" is not kerberos or ntlm\n\
         swnctl: {path}:2: unknown key keep_alive; do you mean keep-alive?\n"
    );
    assert_eq!(error, expected);

    write("");
    let (_, json, _) = bench.swnctl(&["reload", "--json"]).await;
    assert_eq!(json, "{\"changed\":[\"auth\"],\"restart\":[]}\n");
}

#[tokio::test]
async fn a_test_goes_from_the_kernel_over_each_node_to_a_reconnect() {
    let bench = Bench::start("test").await;
    let id = bench.mount(&bench.net_name).to_string();
    assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
    let account = bench.path.with_extension("credentials");
    std::fs::write(&account, "username=alice\npassword=secret\ndomain=EXAMPLE\n").unwrap();
    let mapper = MAPPER_PORT.to_string();
    let nodes = ["--all-nodes", "--credentials", account.to_str().unwrap()];
    let all =
        [&["test", &id, "--mapper-port", &mapper, "--reconnect", "--yes"][..], &nodes].concat();
    let (code, text, error) = bench.swnctl(&all).await;
    std::fs::remove_file(&account).unwrap();
    assert_eq!(code, Some(0), "{text}{error}");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(lines[0].starts_with("ok ") && lines[0].ends_with("took a harmless notification"));
    let [_, second, third] = bench.addresses;
    assert!(
        lines[1].contains(&format!("lists in service: {}, {second}, {third}", bench.addresses[0]))
    );
    assert!(lines[2].contains("registered once more at witness"), "{text}");
    for (line, address) in lines[3..5].iter().zip(&bench.addresses[1..]) {
        let expected = format!("  {address} registered this machine, and let it go");
        assert!(line.starts_with("ok ") && line.ends_with(&expected), "{line}");
    }
    assert!(lines[5].contains("the kernel reconnects"), "{text}");
    // The mount keeps its registration.
    assert_eq!(bench.swnctl(&["status", &id]).await.0, Some(0));
    let told = bench.kernel.take_notifications();
    assert_eq!(told.len(), 2, "{told:?}");
}

#[tokio::test]
async fn a_test_waits_for_an_ordered_move_and_times_it() {
    let bench = Bench::start("move").await;
    let id = bench.mount(&bench.net_name).to_string();
    assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
    let mut test = bench.command(&["test", &id, "--wait-move", "--json"]);
    let mut test = test.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let shown = tokio::task::spawn_blocking(move || {
        lines.find(|line| line.as_ref().unwrap().contains("\"move\""))
    });
    // Until it waits, what happens is not shown.
    while !shown.is_finished() {
        let to = Destination::Node(NodeId(3));
        bench.cluster.run(Step::ClientMove { who: Who::All, to }).await;
        assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
    }
    let line = shown.await.unwrap().unwrap().unwrap();
    assert!(line.contains(&format!("client move to {}", bench.addresses[2])), "{line}");
    test.kill().unwrap();
    test.wait().unwrap();
}

#[tokio::test]
async fn a_test_of_a_mount_that_the_kernel_has_forgotten_fails() {
    let bench = Bench::start("forgotten").await;
    let id = bench.mount(&bench.net_name);
    let name = id.to_string();
    assert_eq!(bench.swnctl(&["wait", &name]).await.0, Some(0));
    // Its message about that is lost.
    bench.kernel.lose(1);
    bench.kernel.unmount(id);
    let (code, text, error) = bench.swnctl(&["test", &name]).await;
    assert_eq!(code, Some(1), "{text}{error}");
    assert!(text.starts_with("FAIL ") && text.contains("the kernel refused"), "{text}");
}

#[tokio::test]
async fn the_interfaces_of_a_mount_are_those_that_the_daemon_was_told_last() {
    let bench = Bench::start("interfaces").await;
    let id = bench.mount(&bench.net_name).to_string();
    assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
    let share = format!(r"\\{}\data", bench.net_name);
    for name in [id.as_str(), share.as_str()] {
        let (code, text, error) = bench.swnctl(&["interfaces", name]).await;
        assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
        assert!(text.starts_with(&format!("{share}: last listed:\n")), "{text}");
        for address in bench.addresses {
            assert!(text.contains(&address.to_string()), "{text}");
        }
        assert!(text.contains("available"), "{text}");
    }
    let (code, _, error) = bench.swnctl(&["interfaces", "4711"]).await;
    assert_eq!(code, Some(4), "{error}");
}
