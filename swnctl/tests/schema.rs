//! What is written with `--json` is as `docs/swnctl.schema.json` describes it.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

mod bench;

use bench::{Bench, MAPPER_PORT};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use witness_sim::{Destination, NodeId, Step, Who};

const SCHEMA: &str = include_str!("../../docs/swnctl.schema.json");

/// As much of JSON Schema as that file uses.
fn differs(schema: &Value, root: &Value, value: &Value, at: &str) -> Option<String> {
    let wrong = |what: &str| Some(format!("{at}: {what}: {value}"));
    for key in schema.as_object().unwrap().keys() {
        let known = [
            "$ref",
            "additionalProperties",
            "anyOf",
            "description",
            "enum",
            "items",
            "properties",
            "required",
            "type",
        ];
        assert!(known.contains(&key.as_str()), "{key} is not looked at");
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return differs(target, root, value, at);
    }
    if let Some(all) = schema.get("anyOf").and_then(Value::as_array) {
        let found: Vec<_> = all.iter().map(|it| differs(it, root, value, at)).collect();
        return if found.contains(&None) { None } else { wrong(&format!("{found:?}")) };
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        return if all.contains(value) { None } else { wrong("unknown value") };
    }
    let is_type = |name: &Value| match name.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    let types = schema.get("type").unwrap();
    if !types.as_array().map_or_else(|| is_type(types), |all| all.iter().any(is_type)) {
        return wrong("another type");
    }
    if let (Some(items), Some(all)) = (schema.get("items"), value.as_array()) {
        return all.iter().find_map(|it| differs(items, root, it, at));
    }
    let object = value.as_object()?;
    let properties = schema.get("properties").and_then(Value::as_object).unwrap();
    let required = schema.get("required").and_then(Value::as_array).unwrap();
    if let Some(missing) = required.iter().find(|it| !object.contains_key(it.as_str().unwrap())) {
        return wrong(&format!("no {missing}"));
    }
    object.iter().find_map(|(name, value)| match properties.get(name) {
        Some(schema) => differs(schema, root, value, &format!("{at}.{name}")),
        None => wrong(&format!("{name} is not described")),
    })
}

/// Checks each line of a command's output.
fn assert_described(command: &str, text: &str) {
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    let schema = root.pointer(&format!("/$defs/{command}")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(!lines.is_empty(), "{command}");
    for line in lines {
        let value = serde_json::from_str(line).unwrap();
        assert_eq!(differs(schema, &root, &value, command), None);
    }
}

#[tokio::test]
async fn each_command_writes_what_the_schema_describes() {
    let bench = Bench::start("schema").await;
    let id = bench.mount(&bench.net_name).to_string();
    bench.mount("10.0.0.9");
    assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
    let account = bench.path.with_extension("credentials");
    std::fs::write(&account, "username=alice\npassword=secret\ndomain=EXAMPLE\n").unwrap();
    let (account, mapper) = (account.to_str().unwrap(), MAPPER_PORT.to_string());
    let configuration = bench.path.with_extension("conf");
    let first = bench.addresses[0].to_string();
    let by = ["--credentials", account, "--mapper-port", &mapper];
    let interfaces = [&["interfaces", &bench.net_name, "--address", &first][..], &by].concat();
    let test = [&["test", &id, "--all-nodes", "--reconnect", "--yes"][..], &by].concat();
    let check = [&["check", "//127.0.0.1/data"][..], &by].concat();
    for (name, arguments) in [
        ("status", &["status"][..]),
        ("list", &["list"]),
        ("check", &check),
        ("test", &test),
        ("interfaces", &interfaces),
        ("interfaces", &["interfaces", &id]),
        ("log-level", &["log-level"]),
        ("reload", &["reload"]),
        ("config-check", &["config", "check", configuration.to_str().unwrap()]),
        ("config-show", &["config", "show", configuration.to_str().unwrap()]),
    ] {
        let (_, text, error) = bench.swnctl(&[&["--json"], arguments].concat()).await;
        assert!(!text.is_empty(), "{name}: {error}");
        assert_described(name, &text);
    }
    std::fs::write(&configuration, "keytap = 1\n").unwrap();
    let wrong = ["--json", "config", "check", configuration.to_str().unwrap()];
    assert_described("config-check", &bench.swnctl(&wrong).await.1);
    let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
    let output = command.args(["--json", "--socket", "/nonexistent"]).output().unwrap();
    assert_described("status", std::str::from_utf8(&output.stdout).unwrap());
    std::fs::remove_file(account).unwrap();
}

#[tokio::test]
async fn each_event_is_as_the_schema_describes() {
    let bench = Bench::start("schema-events").await;
    let id = bench.mount(&bench.net_name).to_string();
    let mut monitor = bench.command(&["--json", "monitor"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    let shown = tokio::task::spawn_blocking(move || {
        lines.find(|line| {
            assert_described("monitor", line.as_ref().unwrap());
            line.as_ref().unwrap().contains("the kernel accepted it")
        })
    });
    while !shown.is_finished() {
        assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
        let to = Destination::Node(NodeId(3));
        bench.cluster.run(Step::ClientMove { who: Who::All, to }).await;
    }
    assert!(shown.await.unwrap().is_some());
    monitor.kill().unwrap();
    monitor.wait().unwrap();
}
