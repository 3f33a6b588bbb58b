//! Which of the daemon's registrations a person means.

use crate::exit::Exit;
use crate::mounts::CifsMount;
use swnd::control::interface::{Event, Registration};

/// Returns the registrations that the names name.
pub(crate) fn select<'a>(
    registrations: &'a [Registration],
    mounted: &[CifsMount],
    names: &[String],
) -> Result<Vec<&'a Registration>, Exit> {
    let mut selected = Vec::new();
    for name in names {
        let before = selected.len();
        selected.extend(registrations.iter().filter(|it| {
            name.parse() == Ok(it.id)
                || is_named(&it.net_name, it.share_name.as_deref(), mounted, name)
        }));
        if selected.len() == before {
            return Err(Exit::NoSuchMount(name.clone()));
        }
    }
    selected.sort_by_key(|it| it.id);
    selected.dedup_by_key(|it| it.id);
    Ok(selected)
}

/// Whether an event is about a mount.
pub(crate) fn is_about(event: &Event, mounted: &[CifsMount], name: &str) -> bool {
    let net_name = event.net_name.as_deref();
    net_name.is_some_and(|net| is_named(net, event.share_name.as_deref(), mounted, name))
}

/// Whether a name, a directory or `//SERVER/SHARE`, names a share.
fn is_named(net_name: &str, share: Option<&str>, mounted: &[CifsMount], name: &str) -> bool {
    let share = share.unwrap_or_default();
    let is =
        |net: &str, of: &str| net.eq_ignore_ascii_case(net_name) && of.eq_ignore_ascii_case(share);
    let unc = name.replace('\\', "/");
    if let Some((net, of)) = unc.strip_prefix("//").and_then(|unc| unc.split_once('/')) {
        return is(net, of.trim_end_matches('/'));
    }
    let directory = match name.trim_end_matches('/') {
        "" => "/",
        directory => directory,
    };
    mounted.iter().any(|mount| mount.path == directory && is(&mount.net_name, &mount.share_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts;
    use swnd::control::interface::{MountKind, State};

    fn registration(id: u32, net_name: &str, share: &str) -> Registration {
        Registration {
            id,
            kind: MountKind::Kernel,
            net_name: net_name.into(),
            share_name: Some(share.into()),
            address: None,
            state: State::Registering,
            state_ms: 0,
            witness: None,
            version: None,
            retry_in_ms: None,
            problem: None,
            reason: None,
        }
    }

    #[test]
    fn a_mount_is_named_by_directory_share_or_number() {
        let registrations =
            [registration(7, "cluster", "data"), registration(8, "cluster", "home")];
        let mounted = mounts::parse("70 25 0:44 / /mnt/data rw - cifs //CLUSTER/Data rw,witness\n");
        let ids = |name: &str| -> Result<Vec<u32>, u8> {
            let selected = select(&registrations, &mounted, &[name.into()]);
            selected.map(|all| all.iter().map(|it| it.id).collect()).map_err(|exit| exit.code())
        };
        for name in ["7", "/mnt/data", "/mnt/data/", "//cluster/data", r"\\CLUSTER\DATA"] {
            assert_eq!(ids(name), Ok(vec![7]), "{name}");
        }
        assert_eq!(ids("//cluster/home"), Ok(vec![8]));
        for name in ["9", "/mnt", "//cluster/other", "cluster"] {
            assert_eq!(ids(name), Err(4), "{name}");
        }
    }
}
