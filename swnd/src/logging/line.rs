//! A line on its way to the log.

use crate::report::Kind;
use crate::text::OneLine;
use log::{Level, Record};
use smol_str::SmolStr;
use std::time::{Duration, SystemTime};

/// A line with what a log keeps beside its text.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// When it was logged, since the epoch.
    pub(super) at: Duration,
    pub(super) level: Level,
    pub(super) text: String,
    target: SmolStr,
    module: Option<&'static str>,
    file: Option<&'static str>,
    number: Option<u32>,
    fields: Vec<(String, String)>,
}

impl Line {
    pub(super) fn new(level: Level, text: String) -> Self {
        Self {
            at: now(),
            level,
            text,
            target: SmolStr::new_static(module_path!()),
            module: None,
            file: None,
            number: None,
            fields: Vec::new(),
        }
    }

    /// A line about a mount, if it is about one.
    pub(super) fn about(mount: Option<SmolStr>, level: Level, text: String) -> Self {
        let fields = mount.map(|mount| ("swnd_mount".into(), mount.into()));
        Self { fields: fields.into_iter().collect(), ..Self::new(level, text) }
    }

    /// A line of a kind that the journal's catalog explains.
    pub(super) fn of(kind: Kind, level: Level, text: String) -> Self {
        let fields = vec![("message_id".into(), kind.message_id().into())];
        Self { fields, ..Self::new(level, text) }
    }

    /// Gives the line as the record that it was.
    pub(super) fn with_record(&self, with: impl FnOnce(&Record<'_>)) {
        with(
            &Record::builder()
                .level(self.level)
                .target(&self.target)
                .module_path_static(self.module)
                .file_static(self.file)
                .line(self.number)
                .key_values(&self.fields)
                .args(format_args!("{}", self.text))
                .build(),
        );
    }

    /// Returns how much room it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        let fields = self.fields.iter().map(|(key, value)| key.len() + value.len());
        size_of::<Self>() + self.text.len() + fields.sum::<usize>()
    }
}

impl From<&Record<'_>> for Line {
    fn from(record: &Record<'_>) -> Self {
        struct Fields(Vec<(String, String)>);

        impl<'kvs> log::kv::VisitSource<'kvs> for Fields {
            fn visit_pair(
                &mut self,
                key: log::kv::Key<'kvs>,
                value: log::kv::Value<'kvs>,
            ) -> Result<(), log::kv::Error> {
                self.0.push((key.to_string(), OneLine::error(value).to_string()));
                Ok(())
            }
        }

        let mut fields = Fields(Vec::new());
        // Nothing in it fails.
        let _ = record.key_values().visit(&mut fields);
        Self {
            target: record.target().into(),
            module: record.module_path_static(),
            file: record.file_static(),
            number: record.line(),
            fields: fields.0,
            // Lines of libraries have names within them, too.
            ..Self::new(record.level(), OneLine::line(record.args()).to_string())
        }
    }
}

/// The time since the epoch.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
