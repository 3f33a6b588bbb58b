//! The sections of mounts to adopt.

use super::{Found, Origin, Problem, Section};
use crate::adoption::{CredentialsFrom, Pattern, Rule, Watch};
use crate::options::FailoverMode;

/// What may be set of such mounts.
pub(super) const KEYS: [&str; 2] = ["watch", "credentials"];

/// Whether a section can have this name; `Err`: what is allowed.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    name.parse::<Pattern>().map(drop).map_err(|wanted| format!("{name:?}: {wanted}"))
}

/// Whether a key takes a value; `Err`: what is allowed.
pub(super) fn check(key: &str, value: &str) -> Result<(), String> {
    let checked = match key {
        "credentials" => value.parse::<CredentialsFrom>().map(drop),
        _ => value.parse::<Watch>().map(drop),
    };
    checked.map_err(|wanted| format!("{value:?} is not {wanted}"))
}

/// What a section means without a key.
pub(super) fn of_empty_section(origin: Origin) -> Found {
    Found { section: None, key: "watch".into(), value: "witness".into(), origin }
}

/// Returns the rules of the sections.
pub(super) fn rules(
    found: &[Found],
    failover: FailoverMode,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    let mut rules = Vec::<Rule>::new();
    for Found { section, key, value, origin } in found {
        let Some(Section::Mount(name)) = section else { continue };
        let Ok(pattern) = name.parse::<Pattern>() else { continue };
        let index = rules.iter().position(|rule| rule.pattern == pattern).unwrap_or_else(|| {
            rules.push(Rule { pattern, watch: Watch::default(), credentials: None });
            rules.len() - 1
        });
        let Some(rule) = rules.get_mut(index) else { continue };
        if key == "credentials" {
            rule.credentials = value.parse().ok();
            continue;
        }
        rule.watch = value.parse().unwrap_or_default();
        if rule.watch != Watch::None && failover == FailoverMode::Forward {
            let what = "to adopt mounts takes failover = \"verified\": the kernel can't be told \
                about them";
            problems.push(Problem { origin: origin.clone(), what: what.into() });
        }
    }
    rules
}
