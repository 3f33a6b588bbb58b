//! Which mounts are adopted, as the configuration says.

use super::source::CredentialsFrom;
use crate::failover::Share;
use crate::mountinfo::CifsMount;
use std::net::IpAddr;
use std::str::FromStr;

/// The mounts that a rule is for: `//SERVER/SHARE`, or `//SERVER/*` for each share of a
/// server, by the name in the mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    net_name: String,
    /// `None`: each.
    share: Option<String>,
}

impl Pattern {
    fn matches(&self, mount: &CifsMount) -> bool {
        let share = self.share.as_deref().unwrap_or(&mount.share_name);
        mount.is_share(&self.net_name, share)
    }
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a mount is \"//SERVER/SHARE\", or \"//SERVER/*\" for each share";
        let text = text.replace('\\', "/").to_lowercase();
        let (net_name, share) =
            text.strip_prefix("//").and_then(|it| it.split_once('/')).ok_or(WANTED)?;
        let is_plain = |name: &str| !name.is_empty() && !name.contains(['/', '*', '?']);
        if !is_plain(net_name) || share != "*" && !is_plain(share) {
            return Err(WANTED);
        }
        Ok(Self { net_name: net_name.into(), share: (share != "*").then(|| share.into()) })
    }
}

/// How a mount is watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Watch {
    /// By a witness of its cluster.
    #[default]
    Witness,
    /// By swnd itself, which looks at the kernel's connection: for servers without a witness.
    Connection,
    /// Not at all: it isn't adopted.
    None,
}

impl FromStr for Watch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "witness" => Ok(Self::Witness),
            "connection" => Ok(Self::Connection),
            "none" => Ok(Self::None),
            _ => Err("witness, connection or none"),
        }
    }
}

/// What is said of some mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which.
    pub pattern: Pattern,
    /// How they are watched.
    pub watch: Watch,
    /// Where their credentials are from; `None`: the machine's tickets.
    pub credentials: Option<CredentialsFrom>,
}

/// Which mounts are adopted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Also those that no rule is for.
    pub all: bool,
    /// What is said of single ones.
    pub rules: Vec<Rule>,
}

impl Rules {
    /// Returns whether nothing is adopted.
    pub fn is_empty(&self) -> bool {
        !self.all && self.rules.iter().all(|rule| rule.watch == Watch::None)
    }

    /// Returns the rule for a mount: one that names its share before one for each share.
    pub fn of(&self, mount: &CifsMount) -> Option<&Rule> {
        let of_it = self.rules.iter().filter(|rule| rule.pattern.matches(mount));
        of_it.max_by_key(|rule| rule.pattern.share.is_some())
    }

    /// Returns whether a mount is adopted. One that no rule is for must be able to have a
    /// witness, as far as is known.
    pub(super) fn adopts(&self, mount: &CifsMount, share: Option<&Share>) -> bool {
        match self.of(mount) {
            Some(rule) => rule.watch != Watch::None,
            None => {
                let is_name = mount.net_name.parse::<IpAddr>().is_err();
                let is_smb3 = mount.value("vers").is_none_or(|dialect| dialect.starts_with('3'));
                self.all && is_name && is_smb3 && share.is_none_or(|share| share.clustered)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_named_by_server_and_share_or_all_shares_of_a_server() {
        for text in [
            "",
            "cluster/data",
            "//cluster",
            "//cluster/",
            "///data",
            "//*/data",
            "//clu*/data",
            "//cluster/da*",
            "//cluster/data/dir",
            "//cluster/**",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        for text in ["//cluster/data", "//CLUSTER/Data", r"\\cluster\data"] {
            let pattern = Pattern { net_name: "cluster".into(), share: Some("data".into()) };
            assert_eq!(text.parse(), Ok(pattern), "{text}");
        }
        assert_eq!("//c/*".parse(), Ok(Pattern { net_name: "c".into(), share: None }));
    }
}
