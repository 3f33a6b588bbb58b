//! What is said where there is no descriptor for a connection. A program of its own,
//! for the limit is the process's.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use swnclient::{Client, Config, Credentials, Error, Event, NtlmCredentials, RegistrationRequest};
use swnd::report::{Mount, Report};
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_process_without_descriptors_says_which_limit_to_raise() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let client = Client::start(Config::default(), move |id, event| {
        let _ = sender.send((id, event));
    });
    let request = RegistrationRequest::new("cluster.example.test")
        .share("data")
        .served_by("127.0.0.1".parse().unwrap())
        .scale_out();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
    let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
    client.register(request.clone(), Credentials::Ntlm(alice));
    let event = tokio::time::timeout(LIMIT, events.recv()).await;
    setrlimit(Resource::Nofile, before).unwrap();
    let (_, Event::Failed { error, retry_in: Some(_) }) = event.unwrap().unwrap() else {
        panic!("it cannot have succeeded");
    };
    assert!(matches!(error, Error::NoDescriptor { .. }), "{error:?}");
    let mount = Mount::from(&request);
    let line =
        Report::Failed { mount, error, retry_in: None, again: false, lost: false }.to_string();
    assert_eq!(
        line,
        r"\\cluster.example.test\data: cannot connect to 127.0.0.1:135: too many open files; raise the limit of open files (LimitNOFILE= of swnd's unit, or fs.file-max); next attempt when the kernel asks again"
    );
}
