//! `swnctl config`: the daemon's configuration, as its files have it.

use crate::exit::{Exit, print_json};
use crate::options::{ConfigCommand, ConfigFile, Json};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use swnd::settings::{FILE, Origin, Problem, Section, Setting, Settings, SettingsError, Sources};

/// Runs one of its commands.
pub(crate) fn run(
    output: &mut impl Write,
    command: &ConfigCommand,
    json: Option<Json>,
) -> Result<(), Exit> {
    match command {
        ConfigCommand::Check(ConfigFile { file }) => match (load(file), json) {
            (Ok(_), Some(form)) => print_json(output, form, &json!([])),
            (Ok(_), None) => Ok(writeln!(output, "{}: ok", file.display())?),
            (Err(problems), Some(form)) => {
                let problems = problems.iter().map(|problem| {
                    let (file, line) = place(&problem.origin);
                    json!({ "file": file, "line": line, "problem": problem.what })
                });
                print_json(output, form, &problems.collect::<Vec<_>>())?;
                Err(Exit::NotWell)
            }
            (Err(problems), None) => {
                for problem in problems {
                    writeln!(output, "{problem}")?;
                }
                Err(Exit::NotWell)
            }
        },
        ConfigCommand::Show(ConfigFile { file }) => {
            let settings = load(file).map_err(|problems| {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Exit::Failed(problems.join("\nswnctl: "))
            })?;
            let mut all: Vec<_> = settings.all.iter().filter(|it| it.key != "config").collect();
            // A section's together.
            all.sort_by(|one, other| one.section.cmp(&other.section));
            let all = all.into_iter();
            match json {
                Some(form) => print_json(output, form, &all.map(described).collect::<Vec<_>>()),
                None => {
                    let mut section = &None;
                    for setting in all {
                        if setting.section != *section {
                            section = &setting.section;
                            let (kind, name) = section.as_ref().map_or(("", ""), Section::parts);
                            writeln!(output, "[{kind}.{}]", quoted_string(name))?;
                        }
                        writeln!(output, "{}", line(setting))?;
                    }
                    Ok(())
                }
            }
        }
    }
}

fn load(file: &Path) -> Result<Settings, Vec<Problem>> {
    // The usual one need not be there.
    let sources = match file == Path::new(FILE) {
        true => Sources { arguments: vec!["swnd".into()], ..Sources::of_file(file) },
        false => Sources::of_file(file),
    };
    sources.load().map_err(|error| match error {
        SettingsError::Configuration(problems) => problems,
        SettingsError::CommandLine(error) => {
            vec![Problem { origin: Origin::File(file.into(), 0), what: error.to_string() }]
        }
    })
}

fn place(origin: &Origin) -> (Option<String>, Option<usize>) {
    match origin {
        Origin::File(path, 0) => (Some(path.display().to_string()), None),
        Origin::File(path, line) => (Some(path.display().to_string()), Some(*line)),
        _ => (None, None),
    }
}

fn described(setting: &Setting) -> serde_json::Value {
    let (file, line) = place(&setting.origin);
    let of = |wanted: &str| {
        let parts = setting.section.as_ref().map(Section::parts);
        parts.filter(|(kind, _)| *kind == wanted).map(|(_, name)| name)
    };
    let (cluster, mount) = (of("cluster"), of("mount"));
    json!({ "cluster": cluster, "mount": mount, "key": setting.key, "values": setting.values, "file": file, "line": line })
}

/// A line that a configuration file may have, with where it is from.
fn line(Setting { key, values, origin, .. }: &Setting) -> String {
    match values.as_slice() {
        [] => format!("# {key} is not set"),
        [value] => format!("{key} = {}  # {origin}", quoted(value)),
        values => {
            let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
            format!("{key} = [{}]  # {origin}", values.join(", "))
        }
    }
}

fn quoted(value: &str) -> String {
    match value {
        "true" | "false" => value.into(),
        _ if value.parse::<u32>().is_ok() => value.into(),
        _ => quoted_string(value),
    }
}

fn quoted_string(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", value.replace('\n', "\\n").replace('\t', "\\t"))
}
