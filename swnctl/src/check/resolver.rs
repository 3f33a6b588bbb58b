//! Whether the kernel asks swnd where to connect to, for the mounts that it adopts: all else
//! that the kernel connects by is a name, which leads where the system's resolver says.

use super::{Facts, Row, mount};
use std::path::Path;
use swnd::request_key;

/// What the kernel runs, by a name that is built in.
const REQUEST_KEY: &str = "/sbin/request-key";

/// Returns the file by which swnd is asked, where there is one; `Err`: why no name of a
/// server resolves with it.
pub(super) fn find() -> Option<Result<String, String>> {
    let found = request_key::installed()?;
    let file = found.file.display();
    for program in [&*found.program, Path::new(REQUEST_KEY)] {
        if !program.is_file() {
            return Some(Err(format!("{file} needs {}, which is not there", program.display())));
        }
    }
    Some(Ok(file.to_string()))
}

/// Whether a mount that is adopted can be moved to another node.
pub(super) fn resolver(facts: &Facts) -> Row {
    const ID: &str = "mount.resolver";
    if let Some(Err(error)) = &facts.resolver {
        return Row::fail(
            ID,
            format!("the kernel can't resolve names of servers: {error}"),
            "install swnctl there, and keyutils, or remove that file",
        );
    }
    mount::mounted(facts, ID, |_| {
        if !facts.is_adopted() {
            return Row::ok(ID, "not needed: the kernel is told where to connect to");
        }
        let has_addresses = facts.addresses.as_ref().is_ok_and(|all| all.len() > 1);
        match (&facts.resolver, mount::is_scale_out(facts)) {
            (Some(_), _) => Row::ok(ID, "the kernel asks swnd where to connect to"),
            (None, Some(false)) if !has_addresses => {
                Row::ok(ID, "not needed: the share has one address")
            }
            (None, None) if !has_addresses => {
                Row::skip(ID, "/proc/fs/cifs/DebugData does not list the share")
            }
            (None, _) => Row::warn(
                ID,
                "the kernel does not ask swnd where to connect to: it stays at the address that \
                 the name leads to, also where that stays dead, and after an administrator's move",
                "install keyutils, and have swnd asked: install -m 644 \
                 /usr/share/doc/swnd/examples/request-key.conf /etc/request-key.d/swnd.conf",
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DEBUG_DATA, facts, mounted, wrong};
    use super::super::{Outcome, rows};
    use super::*;
    use std::net::IpAddr;
    use swnd::control::interface::MountKind;

    /// A mount that is adopted, of a share that each node serves or of one with one address.
    fn adopt(facts: &mut Facts, is_scale_out: bool) {
        facts.mount = mounted("rw,vers=3.1.1,hard,username=alice,sec=ntlmssp");
        facts.status.as_mut().unwrap().registrations[0].kind = MountKind::Adopted;
        if is_scale_out {
            let data = DEBUG_DATA.replace("CLUSTER,", "CLUSTER, SCALEOUT,");
            facts.debug_data = Some(data);
        }
    }

    #[test]
    fn a_kernel_that_does_not_ask_swnd_for_addresses_is_found() {
        let warns = [("mount.resolver", Outcome::Warn)];
        assert_eq!(wrong(|facts| adopt(facts, true)), warns);
        let two = ["10.0.0.11", "10.0.0.12"].map(|it| it.parse::<IpAddr>().unwrap().into());
        let by_name = |facts: &mut Facts| {
            adopt(facts, false);
            facts.addresses = Ok(two.to_vec());
        };
        assert_eq!(wrong(by_name), warns);
        // One address is all that there is.
        assert_eq!(wrong(|facts| adopt(facts, false)), []);
        // The kernel is told by notifications.
        let told = |facts: &mut Facts| {
            adopt(facts, true);
            facts.status = super::super::tests::facts().status;
            facts.mount = super::super::tests::facts().mount;
        };
        assert_eq!(wrong(told), []);
        let asked = |facts: &mut Facts| {
            adopt(facts, true);
            facts.resolver = Some(Ok("/etc/request-key.d/swnd.conf".into()));
        };
        assert_eq!(wrong(asked), []);
        let unknown = |facts: &mut Facts| {
            adopt(facts, false);
            facts.debug_data = facts.debug_data.take().map(|data| data.replace("data", "other"));
        };
        assert!(wrong(unknown).contains(&("mount.resolver", Outcome::Skip)));
    }

    #[test]
    fn a_resolver_that_is_configured_and_not_there_is_found_for_each_mount() {
        let error = "/etc/request-key.d/swnd.conf needs /usr/sbin/swnctl, which is not there";
        let mut facts = facts();
        facts.resolver = Some(Err(error.into()));
        let rows = rows(&facts);
        let failed: Vec<_> = rows.iter().filter(|row| row.outcome != Outcome::Ok).collect();
        let [row] = failed[..] else { panic!("{failed:?}") };
        assert_eq!((row.id, row.outcome), ("mount.resolver", Outcome::Fail));
        assert!(row.found.ends_with(error), "{row:?}");
    }
}
