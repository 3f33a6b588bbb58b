//! The settings: the command line, the environment and the files, in this order. Each is
//! checked as an option of the command line is.

mod mounts;
mod problem;
mod reader;
mod section;
#[cfg(test)]
mod tests;

pub use problem::{Origin, Problem};
pub use section::Section;

use crate::adoption::{Rule, Rules};
use crate::authentication::Policy;
use crate::options::{Adopt, Options};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use reader::Value;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind as IoErrorKind, Read};
use std::path::{Path, PathBuf};

pub use crate::paths::FILE;
/// In place of a path: no file.
pub const NO_FILE: &str = "none";
/// What the variables of the environment begin with.
const PREFIX: &str = "SWND_";
/// How long a file may be, in bytes.
const FILE_MAX: u64 = 64 << 10;
/// What a cluster may have settings of its own for.
const OF_A_CLUSTER: [&str; 4] = ["auth", "ccache", "keytab", "principal"];
/// What is set on the command line, and by a variable, but not in a file.
const NOT_IN_A_FILE: &str = "config";

/// One setting as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What it is for; `None`: for all.
    pub section: Option<Section>,
    /// The option's name.
    pub key: String,
    /// Its values; none where it is not set and has no default.
    pub values: Vec<String>,
    /// Where it is from.
    pub origin: Origin,
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// As the daemon reads them.
    pub options: Options,
    /// The clusters that have settings of their own, by name, each with all of them.
    pub clusters: Vec<(String, Options)>,
    /// What is said of mounts to adopt.
    pub mounts: Vec<Rule>,
    /// One by one, in the order of the manual page, those of sections last.
    pub all: Vec<Setting>,
}

impl Settings {
    /// How mounts authenticate.
    pub fn policy(&self) -> Policy {
        let clusters = self.clusters.iter().map(|(name, own)| (name.into(), own.policy()));
        self.options.policy().with_clusters(clusters.collect())
    }

    /// Which mounts are adopted.
    pub fn rules(&self) -> Rules {
        Rules { all: self.options.adopt == Adopt::All, rules: self.mounts.clone() }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The command line is wrong, or asks for the help or the version.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// What is wrong in the files and the environment.
    #[error("{}", join(.0))]
    Configuration(Vec<Problem>),
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What settings are read from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The command line, with the program's name.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl Sources {
    /// Returns those of this process.
    pub fn of_process() -> Self {
        let environment = std::env::vars_os()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
        Self { arguments: std::env::args_os().collect(), environment: environment.collect() }
    }

    /// Returns what a file alone is read by.
    pub fn of_file(path: &Path) -> Self {
        let arguments = vec!["swnd".into(), "--config".into(), path.into()];
        Self { arguments, environment: Vec::new() }
    }

    /// Reads the files, and merges the settings.
    ///
    /// # Errors
    /// Each thing that is wrong.
    pub fn load(&self) -> Result<Settings, SettingsError> {
        let matches = Options::command().try_get_matches_from(&self.arguments)?;
        let command = Options::command();
        let mut merge = Merge { keys: keys(&command), found: vec![], problems: vec![] };
        if let Some((path, is_wanted)) = self.file(&matches) {
            merge.file(&path, is_wanted);
            merge.directory(&path);
        }
        merge.environment(&self.environment);
        let Merge { mut found, mut problems, .. } = merge;
        let (of_sections, mut found): (Vec<_>, Vec<_>) =
            std::mem::take(&mut found).into_iter().partition(|it| it.section.is_some());
        found.retain(|it| !is_on_command_line(&matches, &command, &it.key));
        let mut arguments = self.arguments.clone();
        let others = found.iter().map(|Found { key, value, .. }| format!("--{key}={value}").into());
        let first = arguments.len().min(1);
        arguments.splice(first..first, others);
        let matches = Options::command().try_get_matches_from(arguments)?;
        let options = Options::from_arg_matches(&matches)?;
        let mut all = settings(&command, &matches, &found);
        if let Some((keys, what)) = options.contradiction() {
            match found.into_iter().find(|it| keys.contains(&it.key.as_str())) {
                Some(Found { origin, .. }) => problems.push(Problem { origin, what }),
                None => return Err(Options::error(what).into()),
            }
        }
        let clusters = clusters(&all, &of_sections, &mut problems)?;
        let mounts = mounts::rules(&of_sections, options.failover, &mut problems);
        all.extend(of_sections.into_iter().map(Setting::from));
        match problems.is_empty() {
            true => Ok(Settings { options, clusters, mounts, all }),
            false => Err(SettingsError::Configuration(problems)),
        }
    }

    /// The file, and whether it was named; `None`: there is none.
    fn file(&self, matches: &ArgMatches) -> Option<(PathBuf, bool)> {
        let named = matches.value_source("config") == Some(ValueSource::CommandLine);
        let variable = variable(&self.environment, "SWND_CONFIG");
        let (path, is_wanted) = match (variable.filter(|it| !named && !it.is_empty()), named) {
            (Some(path), _) => (PathBuf::from(path), true),
            (None, named) => (matches.get_one::<PathBuf>("config")?.clone(), named),
        };
        (path != Path::new(NO_FILE)).then_some((path, is_wanted))
    }
}

fn variable<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsString> {
    environment.iter().find(|it| it.0 == name).map(|it| &it.1)
}

/// The options that can be set elsewhere.
fn options(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let options = command.get_arguments().filter(|it| it.get_action().takes_values());
    options.filter_map(|it| Some((it.get_long()?, it)))
}

fn keys(command: &Command) -> Vec<String> {
    options(command).map(|(key, _)| key.to_owned()).collect()
}

fn is_on_command_line(matches: &ArgMatches, command: &Command, key: &str) -> bool {
    let option = options(command).find(|option| option.0 == key);
    let source = option.and_then(|(_, it)| matches.value_source(it.get_id().as_str()));
    source == Some(ValueSource::CommandLine)
}

fn settings(command: &Command, matches: &ArgMatches, found: &[Found]) -> Vec<Setting> {
    let setting = |(key, option): (&str, &Arg)| {
        let id = option.get_id().as_str();
        let values = matches.get_raw(id).into_iter().flatten();
        let values = values.map(|value| value.to_string_lossy().into_owned()).collect();
        let found = found.iter().find(|it| it.key == key);
        let origin = match (found, matches.value_source(id)) {
            (Some(found), _) => found.origin.clone(),
            (None, Some(ValueSource::CommandLine)) => Origin::CommandLine,
            (None, _) => Origin::Default,
        };
        Setting { section: None, key: key.into(), values, origin }
    };
    options(command).map(setting).collect()
}

/// Returns each cluster's options: its own settings, and the others as they are for all.
fn clusters(
    all: &[Setting],
    found: &[Found],
    problems: &mut Vec<Problem>,
) -> Result<Vec<(String, Options)>, clap::Error> {
    let mut clusters = Vec::<(String, Options)>::new();
    let of_cluster = |found: &Found| found.section.as_ref()?.cluster().map(str::to_owned);
    for name in found.iter().filter_map(of_cluster) {
        if clusters.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let own: Vec<&Found> =
            found.iter().filter(|it| of_cluster(it).as_ref() == Some(&name)).collect();
        let is_own = |key: &str| own.iter().any(|it| it.key == key);
        let of_all = all.iter().filter(|it| !is_own(&it.key) && !it.values.is_empty());
        let of_all = of_all.map(|it| format!("--{}={}", it.key, it.values.join(",")));
        let of_own = own.iter().map(|it| format!("--{}={}", it.key, it.value));
        let arguments = std::iter::once("swnd".to_owned()).chain(of_all).chain(of_own);
        let options =
            Options::from_arg_matches(&Options::command().try_get_matches_from(arguments)?)?;
        // Those for all contradict each other once only.
        let contradiction = options.contradiction().and_then(|(keys, what)| {
            let wrong = own.iter().find(|it| keys.contains(&it.key.as_str()))?;
            Some(Problem { origin: wrong.origin.clone(), what })
        });
        problems.extend(contradiction);
        clusters.push((name, options));
    }
    Ok(clusters)
}

/// A setting of a file or the environment.
struct Found {
    section: Option<Section>,
    key: String,
    value: String,
    origin: Origin,
}

impl From<Found> for Setting {
    fn from(Found { section, key, value, origin }: Found) -> Self {
        let values = match key.as_str() {
            "auth" => value.split(',').map(String::from).collect(),
            _ => vec![value],
        };
        Self { section, key, values, origin }
    }
}

/// Settings from least to most important.
struct Merge {
    keys: Vec<String>,
    found: Vec<Found>,
    problems: Vec<Problem>,
}

impl Merge {
    fn problem(&mut self, origin: Origin, what: String) {
        self.problems.push(Problem { origin, what });
    }

    /// Reads one file.
    fn file(&mut self, path: &Path, is_wanted: bool) {
        let at = |line| Origin::File(path.into(), line);
        let text = match text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == IoErrorKind::NotFound && !is_wanted => return,
            Err(error) => return self.problem(at(0), error.to_string()),
        };
        for entry in reader::read(&text) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.problem(at(error.line), error.what);
                    continue;
                }
            };
            if entry.key.is_empty() {
                self.begin(entry.section, at(entry.line));
                continue;
            }
            let known: Vec<&str> = match entry.section {
                None => {
                    self.keys.iter().map(String::as_str).filter(|it| *it != NOT_IN_A_FILE).collect()
                }
                Some(Section::Cluster(_)) => OF_A_CLUSTER.to_vec(),
                Some(Section::Mount(_)) => mounts::KEYS.to_vec(),
            };
            match known.contains(&entry.key.as_str()) {
                true => self.set(entry.section, entry.key, entry.value, at(entry.line)),
                false => {
                    let what = problem::unknown(&entry.key, &known);
                    self.problem(at(entry.line), what);
                }
            }
        }
    }

    /// A section begins: of mounts it may be empty.
    fn begin(&mut self, section: Option<Section>, origin: Origin) {
        let Some(Section::Mount(name)) = &section else { return };
        match mounts::check_name(name) {
            Err(what) => self.problem(origin, what),
            Ok(()) if self.found.iter().any(|it| it.section == section) => {}
            Ok(()) => self.found.push(Found { section, ..mounts::of_empty_section(origin) }),
        }
    }

    /// Reads the directory beside a file: what ends in `.conf`, by name.
    fn directory(&mut self, file: &Path) {
        let mut directory = file.as_os_str().to_owned();
        directory.push(".d");
        // In the order of their names.
        let mut files = BTreeSet::new();
        let found = fs::read_dir(&directory).and_then(|found| {
            for file in found {
                files.insert(file?.path());
            }
            Ok(())
        });
        match found {
            Ok(()) => {}
            Err(error) if error.kind() == IoErrorKind::NotFound => return,
            Err(error) => {
                return self.problem(Origin::File(directory.into(), 0), error.to_string());
            }
        }
        files.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        for path in files {
            self.file(&path, true);
        }
    }

    /// Reads the variables; one that is empty is not set.
    fn environment(&mut self, environment: &[(OsString, OsString)]) {
        for key in self.keys.clone() {
            let name = format!("{PREFIX}{}", key.to_uppercase().replace('-', "_"));
            let Some(value) = variable(environment, &name) else { continue };
            match value.to_str() {
                Some("") => {}
                Some(value) => {
                    self.set(None, key, Value::One(value.into()), Origin::Environment(name));
                }
                None => self.problem(Origin::Environment(name), "this is not UTF-8".into()),
            }
        }
    }

    fn set(&mut self, section: Option<Section>, key: String, value: Value, origin: Origin) {
        let checked = match value {
            Value::Many(_) if key != "auth" => Err("one value is allowed, and no array".into()),
            value if matches!(section, Some(Section::Mount(_))) => {
                mounts::check(&key, &value.to_string()).map(|()| value.to_string())
            }
            value => check(&key, &value.to_string()).map(|()| value.to_string()),
        };
        match checked {
            Ok(value) => {
                self.found.retain(|it| it.key != key || it.section != section);
                self.found.push(Found { section, key, value, origin });
            }
            Err(what) => self.problem(origin, format!("{key}: {what}")),
        }
    }
}

/// Whether an option takes a value; `Err`: what is allowed.
fn check(key: &str, value: &str) -> Result<(), String> {
    let parsed = |value: &str| {
        Options::command().try_get_matches_from(["swnd".into(), format!("--{key}={value}")])
    };
    let Err(error) = parsed(value) else { return Ok(()) };
    if let Some(ContextValue::Strings(allowed)) = error.get(ContextKind::ValidValue) {
        let wrong = match error.get(ContextKind::InvalidValue) {
            Some(ContextValue::String(wrong)) => wrong,
            _ => value,
        };
        return Err(format!("{wrong:?} is not {}", allowed.join(" or ")));
    }
    let range = |error: &clap::Error| {
        let text = error.source()?.to_string();
        text.split_once(" is not in ").map(|(_, range)| range.to_owned())
    };
    // A word is in no range, and the parser does not say so.
    let range = range(&error).or_else(|| range(&parsed(&u32::MAX.to_string()).err()?));
    Err(match (range, error.kind()) {
        (Some(range), _) => format!("{value:?} is not in {range}"),
        (None, ErrorKind::InvalidValue) => "a value is needed".into(),
        (None, _) => error.source().map_or_else(|| error.to_string(), ToString::to_string),
    })
}

/// Reads a file that is not endless.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
    match text.len() as u64 > FILE_MAX {
        true => Err(io::Error::other("the file is longer than 64 KiB")),
        false => Ok(text),
    }
}
