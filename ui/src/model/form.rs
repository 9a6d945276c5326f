//! The injection form: its fields, and how they become a batch or errors at their fields. What keys
//! do to it is in update/inject.rs.

use ganger_proto::command::SubmitHead;
use ganger_proto::limits::{PAYLOAD_BYTES_MAX, RETRIES_MAX};
use ganger_proto::template::{Quote, expand_argv, expand_line};
use ganger_proto::{ArgList, Args, BatchOptions, Kind, QueueName, Spec, Template};

use super::field::{Line, Lines};
use super::parse::{Random, duration_ms, range, whole};
use super::submission::Batch;

/// What can run from the form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FormKind {
    Square,
    #[default]
    Shell,
    Exec,
    Sleep,
}

/// Where the arguments come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    #[default]
    One,
    List,
    Range,
    Random,
    Repeat,
}

/// A place to type or choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Field {
    #[default]
    Kind,
    Source,
    Command,
    Value,
    List,
    Range,
    Random,
    Repeat,
    Priority,
    Timeout,
    Retries,
    Queue,
    Name,
}

/// The form with what was typed so far.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) kind: FormKind,
    pub(crate) source: Source,
    pub(crate) focus: Field,
    pub(crate) command: Line,
    pub(crate) value: Line,
    pub(crate) list: Lines,
    pub(crate) range: Line,
    pub(crate) random: Line,
    pub(crate) repeat: Line,
    pub(crate) priority: Line,
    pub(crate) timeout: Line,
    pub(crate) retries: Line,
    pub(crate) queue: Line,
    pub(crate) name: Line,
    /// Seeds random values until the form is sent, so that the preview is what goes in.
    pub(crate) draw: u64,
    pub(crate) checked: Checked,
}

/// What the fields mean together.
pub(crate) type Checked = Result<Batch, Vec<(Field, String)>>;

impl FormKind {
    pub(crate) const ALL: [Self; 4] = [Self::Square, Self::Shell, Self::Exec, Self::Sleep];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Shell => "shell",
            Self::Exec => "exec",
            Self::Sleep => "sleep",
        }
    }

    pub(crate) const fn has_command(self) -> bool {
        matches!(self, Self::Shell | Self::Exec)
    }
}

impl Source {
    pub(crate) const ALL: [Self; 5] =
        [Self::One, Self::List, Self::Range, Self::Random, Self::Repeat];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::List => "list/paste",
            Self::Range => "range",
            Self::Random => "random",
            Self::Repeat => "repeat",
        }
    }
}

impl Field {
    /// The fields that are a line of text.
    pub(crate) const LINES: [Self; 10] = [
        Self::Command,
        Self::Value,
        Self::Range,
        Self::Random,
        Self::Repeat,
        Self::Priority,
        Self::Timeout,
        Self::Retries,
        Self::Queue,
        Self::Name,
    ];

    /// Returns the word that it is remembered by.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Source => "source",
            Self::Command => "command",
            Self::Value => "value",
            Self::List => "list",
            Self::Range => "range",
            Self::Random => "random",
            Self::Repeat => "repeat",
            Self::Priority => "priority",
            Self::Timeout => "timeout",
            Self::Retries => "retries",
            Self::Queue => "queue",
            Self::Name => "name",
        }
    }
}

impl Default for Form {
    fn default() -> Self {
        Self {
            kind: FormKind::default(),
            source: Source::default(),
            focus: Field::Command,
            command: Line::default(),
            value: Line::default(),
            list: Lines::default(),
            range: Line::of("1..100"),
            random: Line::of("10:0..10000"),
            repeat: Line::of("10"),
            priority: Line::of("0"),
            timeout: Line::default(),
            retries: Line::of("0"),
            queue: Line::of("default"),
            name: Line::default(),
            draw: 0,
            checked: Err(vec![(Field::Command, NO_COMMAND.to_owned())]),
        }
    }
}

const NO_COMMAND: &str = "write what to run, such as  echo hi {n}";

impl Form {
    /// Returns the fields that the choices leave open, from the top.
    pub(crate) fn fields(&self) -> Vec<Field> {
        let mut fields = vec![Field::Kind, Field::Source];
        if self.kind.has_command() {
            fields.push(Field::Command);
        }
        fields.extend(self.source_field());
        fields.extend([Field::Priority, Field::Timeout, Field::Retries, Field::Queue, Field::Name]);
        fields
    }

    /// Returns the field that holds the arguments.
    pub(crate) fn source_field(&self) -> Option<Field> {
        match self.source {
            Source::One => (!self.kind.has_command()).then_some(Field::Value),
            Source::List => Some(Field::List),
            Source::Range => Some(Field::Range),
            Source::Random => Some(Field::Random),
            Source::Repeat => Some(Field::Repeat),
        }
    }

    /// Returns the line that a field edits; none for choices and the list.
    pub(crate) fn line(&self, field: Field) -> Option<&Line> {
        match field {
            Field::Kind | Field::Source | Field::List => None,
            Field::Command => Some(&self.command),
            Field::Value => Some(&self.value),
            Field::Range => Some(&self.range),
            Field::Random => Some(&self.random),
            Field::Repeat => Some(&self.repeat),
            Field::Priority => Some(&self.priority),
            Field::Timeout => Some(&self.timeout),
            Field::Retries => Some(&self.retries),
            Field::Queue => Some(&self.queue),
            Field::Name => Some(&self.name),
        }
    }

    pub(crate) fn line_mut(&mut self, field: Field) -> Option<&mut Line> {
        match field {
            Field::Kind | Field::Source | Field::List => None,
            Field::Command => Some(&mut self.command),
            Field::Value => Some(&mut self.value),
            Field::Range => Some(&mut self.range),
            Field::Random => Some(&mut self.random),
            Field::Repeat => Some(&mut self.repeat),
            Field::Priority => Some(&mut self.priority),
            Field::Timeout => Some(&mut self.timeout),
            Field::Retries => Some(&mut self.retries),
            Field::Queue => Some(&mut self.queue),
            Field::Name => Some(&mut self.name),
        }
    }

    /// Reads the fields again; to be called after every change.
    pub(crate) fn check(&mut self) {
        if !self.fields().contains(&self.focus) {
            self.focus = Field::Source;
        }
        let mut errors = Vec::new();
        let mut note = |field, why| errors.push((field, why));
        let kind = self.kind().map_err(|why| note(Field::Command, why)).ok();
        let field = self.source_field().unwrap_or(Field::Source);
        let args = self.args().map_err(|why| note(field, why)).ok();
        let timeout = self.timeout_ms().map_err(|why| note(Field::Timeout, why)).ok();
        let options = self.options(&mut note);
        self.checked = match (kind, args, timeout, options) {
            (Some(kind), Some(args), Some(timeout_ms), Some(options)) => {
                let spec = Spec { timeout_ms, ..Spec::of(kind) };
                match spec.check() {
                    Ok(()) => Ok(Batch { head: SubmitHead { spec, options }, args }),
                    Err(error) => Err(vec![(Field::Command, error.to_string())]),
                }
            }
            _ => Err(errors),
        };
    }

    fn kind(&self) -> Result<Kind, String> {
        let command = self.command.text().trim();
        let template = |text: &str| Template::from_text(text).map_err(|error| error.to_string());
        match self.kind {
            FormKind::Square => Ok(Kind::Square),
            FormKind::Sleep => Ok(Kind::Sleep),
            FormKind::Shell | FormKind::Exec if command.is_empty() => Err(NO_COMMAND.to_owned()),
            FormKind::Shell => Ok(Kind::Shell { line: template(command)? }),
            FormKind::Exec => {
                let words = shlex::split(command).ok_or("a quote is not closed")?;
                let argv = words.iter().map(|word| template(word)).collect::<Result<_, _>>()?;
                Ok(Kind::Exec { argv })
            }
        }
    }

    fn args(&self) -> Result<Args, String> {
        match self.source {
            Source::One if self.kind.has_command() => Ok(Args::Repeat { count: 1 }),
            Source::One => {
                self.argument(self.value.text())?;
                Ok(Args::Listed([self.value.text().trim().as_bytes()].into_iter().collect()))
            }
            Source::List => self.listed(),
            Source::Range => range(self.range.text()),
            Source::Random => Ok(Random::parse(self.random.text())?.draw(self.draw)),
            Source::Repeat if !self.kind.has_command() => {
                Err(format!("every {} needs a value; choose another source", self.kind.word()))
            }
            Source::Repeat => match whole(self.repeat.text(), "the count")? {
                0 => Err("repeat it at least once".to_owned()),
                count if count > ganger_proto::limits::BATCH_TASKS_MAX => {
                    Err("a batch holds at most 100 000 000 tasks".to_owned())
                }
                count => Ok(Args::Repeat { count }),
            },
        }
    }

    fn listed(&self) -> Result<Args, String> {
        let mut list = ArgList::new();
        for (i, line) in self.list.filled().enumerate() {
            let line = if self.kind.has_command() { line } else { line.trim() };
            self.argument(line).map_err(|why| format!("line {}: {why}", i + 1))?;
            list.push(line.as_bytes());
        }
        match list.is_empty() {
            true => Err("type or paste one argument a line".to_owned()),
            false => Ok(Args::Listed(list)),
        }
    }

    /// Checks one argument against what the kind takes.
    fn argument(&self, text: &str) -> Result<(), String> {
        let text = text.trim();
        match self.kind {
            FormKind::Square if text.parse::<i64>().is_err() => {
                Err(format!("`{}` is not a whole number", shown(text)))
            }
            FormKind::Sleep => duration_ms(text).map(drop),
            FormKind::Shell | FormKind::Exec if text.len() > PAYLOAD_BYTES_MAX => {
                Err(format!("{} bytes are over the limit of {PAYLOAD_BYTES_MAX}", text.len()))
            }
            FormKind::Square | FormKind::Shell | FormKind::Exec => Ok(()),
        }
    }

    fn timeout_ms(&self) -> Result<u64, String> {
        match self.timeout.text().trim() {
            "" | "-" => Ok(0),
            text => duration_ms(text),
        }
    }

    fn options(&self, note: &mut impl FnMut(Field, String)) -> Option<BatchOptions> {
        let priority = self.priority.text().trim().parse::<i16>().map_err(|_| {
            note(Field::Priority, "write a whole number; higher goes first".to_owned());
        });
        let retries = match whole(self.retries.text(), "the retries") {
            Ok(count) if count <= u64::from(RETRIES_MAX) => Ok(count as u8),
            Ok(_) => Err(format!("at most {RETRIES_MAX} retries")),
            Err(why) => Err(why),
        };
        let retries = retries.map_err(|why| note(Field::Retries, why));
        let queue = QueueName::parse(self.queue.text().trim())
            .map_err(|error| note(Field::Queue, error.to_string()));
        let name = self.name.text().trim();
        if name.chars().count() > 128 {
            note(Field::Name, "a name has at most 128 characters".to_owned());
            return None;
        }
        Some(BatchOptions {
            name: name.to_owned(),
            queue: queue.ok()?,
            priority: priority.ok()?,
            retries: retries.ok()?,
            ..BatchOptions::default()
        })
    }
}

/// Returns what one task of the batch will run, for people.
pub(crate) fn preview(batch: &Batch, index: u64) -> String {
    let mut argument = Vec::new();
    batch.args.write(index, &mut argument);
    let value = match batch.args {
        Args::Repeat { .. } => None,
        Args::Listed(_) | Args::Range { .. } => Some(argument.as_slice()),
    };
    let text = match &batch.head.spec.kind {
        Kind::Square => format!("square {}", String::from_utf8_lossy(&argument)),
        Kind::Sleep => format!("sleep {}", String::from_utf8_lossy(&argument)),
        Kind::Shell { line } => {
            String::from_utf8_lossy(&expand_line(line, value, index + 1)).into_owned()
        }
        Kind::Exec { argv } => {
            let words = expand_argv(argv, value, index + 1);
            let quoted = words.iter().map(|word| quoted(&String::from_utf8_lossy(word)));
            quoted.collect::<Vec<_>>().join(" ")
        }
    };
    crate::text::clean(&text)
}

/// Returns a word as one types it for a shell.
pub(crate) fn quoted(word: &str) -> String {
    let mut out = Vec::new();
    if let Ok(template) = Template::from_text("{}") {
        template.expand(word.as_bytes(), 1, Quote::Shell, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn shown(text: &str) -> String {
    crate::text::cut(&crate::text::clean(text), 24)
}
