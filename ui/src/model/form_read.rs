//! How the fields of the form become a batch, or errors at their fields. Every error is a sentence
//! that says what to write.

use ganger_proto::command::SubmitHead;
use ganger_proto::form::Columns;
use ganger_proto::limits::{AFTER_MAX, BATCH_TASKS_MAX, PAYLOAD_BYTES_MAX, RETRIES_MAX};
use ganger_proto::place::{Need, PlacementError};
use ganger_proto::spec::{After, Rate, SpecError};
use ganger_proto::{
    ArgForm, ArgList, Args, BatchOptions, Cwd, Key, Kind, Label, Name, Placement, QueueName, Spec,
    Template,
};

use super::form::{ArgKind, Field, Form, FormKind, Reading, Source};
use super::parse::{Random, backoff, duration_ms, labels, moment, range, variables, whole};
use super::submission::Batch;

pub(super) const NO_COMMAND: &str = "write what to run, such as  echo hi {n}";
const NO_HANDLER: &str = "write the name of a handler that workers have, such as  resize";
/// Said while a file is read; no fault of the field.
pub(crate) const READING: &str = "reading it …";
/// Characters of a batch's name.
const NAME_CHARS_MAX: usize = 128;

/// The errors found so far.
type Faults = Vec<(Field, String)>;

impl Form {
    /// Reads the fields again; to be called after every change.
    pub(crate) fn check(&mut self) {
        if !self.fields().contains(&self.focus) {
            self.focus = Field::Source;
        }
        let fields = self.fields();
        // The first fault is where one goes to; that is the uppermost.
        let place = |fault: &(Field, String)| fields.iter().position(|field| *field == fault.0);
        self.checked = self.read().map_err(|mut faults| {
            faults.sort_by_key(place);
            faults
        });
    }

    fn read(&self) -> Result<Batch, Faults> {
        let mut faults = Faults::new();
        let what = if self.kind == FormKind::Handler { Field::Handler } else { Field::Command };
        let kind = noted(&mut faults, what, self.read_kind());
        let field = self.source_field().unwrap_or(Field::Source);
        let args = noted(&mut faults, field, self.read_args());
        let timeout_ms = noted(&mut faults, Field::Timeout, self.read_timeout());
        let options = self.read_options(&mut faults);
        let env = noted(&mut faults, Field::Env, self.read_env());
        let cwd = noted(&mut faults, Field::Cwd, self.read_cwd());
        let place = self.read_place(&mut faults);
        let (Some(kind), Some(args), Some(timeout_ms), Some(env), Some(cwd)) =
            (kind, args, timeout_ms, env, cwd)
        else {
            return Err(faults);
        };
        let (Some(options), Some(place)) = (options, place) else { return Err(faults) };
        let form = self.read_form();
        let spec = Spec { env, cwd, timeout_ms, place, form, ..Spec::of(kind) };
        if let Err(error) = spec.check() {
            return Err(vec![(at_fault(&error), error.to_string())]);
        }
        Ok(Batch { head: SubmitHead { spec, options }, args, key: self.read_key() })
    }

    fn read_kind(&self) -> Result<Kind, String> {
        let command = self.trimmed(Field::Command);
        let template = |text: &str| Template::from_text(text).map_err(|error| error.to_string());
        match self.kind {
            FormKind::Square => Ok(Kind::Square),
            FormKind::Sleep => Ok(Kind::Sleep),
            FormKind::Handler => match self.trimmed(Field::Handler) {
                "" => Err(NO_HANDLER.to_owned()),
                text => Name::parse(text)
                    .map(|name| Kind::Handler { name })
                    .map_err(|error| error.to_string()),
            },
            FormKind::Shell | FormKind::Exec if command.is_empty() => Err(NO_COMMAND.to_owned()),
            FormKind::Shell => Ok(Kind::Shell { line: template(command)? }),
            FormKind::Exec => {
                let words = shlex::split(command).ok_or("a quote is not closed")?;
                let argv = words.iter().map(|word| template(word)).collect::<Result<_, _>>()?;
                Ok(Kind::Exec { argv })
            }
        }
    }

    fn read_form(&self) -> ArgForm {
        let columns = match (self.kind, self.args) {
            (FormKind::Handler, ArgKind::Json) => Columns::Json,
            (FormKind::Handler, ArgKind::Text) => Columns::Text,
            (FormKind::Square | FormKind::Sleep | FormKind::Shell | FormKind::Exec, _) => {
                Columns::Text
            }
        };
        ArgForm { columns, ..ArgForm::default() }
    }

    fn read_args(&self) -> Result<Args, String> {
        match self.source {
            Source::One => self.read_one(),
            Source::List => self.read_list(),
            Source::Range => range(self.text(Field::Range)),
            Source::Random => Ok(Random::parse(self.text(Field::Random))?.draw(self.draw)),
            Source::Repeat if !self.kind.has_command() => {
                Err(format!("every {} needs a value; choose another source", self.kind.word()))
            }
            Source::Repeat => match whole(self.text(Field::Repeat), "the count")? {
                0 => Err("repeat it at least once".to_owned()),
                count if count > BATCH_TASKS_MAX => {
                    Err("a batch holds at most 100 000 000 tasks".to_owned())
                }
                count => Ok(Args::Repeat { count }),
            },
            Source::File | Source::Glob => self.read_outside(),
        }
    }

    fn read_one(&self) -> Result<Args, String> {
        let value = match self.kind.trims() {
            true => self.trimmed(Field::Value),
            false => self.text(Field::Value),
        };
        if self.kind.has_command() && value.is_empty() {
            return Ok(Args::Repeat { count: 1 });
        }
        if value.is_empty() {
            return Err(match self.kind {
                FormKind::Square => "write a whole number, such as 12",
                FormKind::Handler if self.args == ArgKind::Json => {
                    r#"write JSON, such as 12, "a.png" or {"width": 64}"#
                }
                FormKind::Handler => "write what the handler gets, such as a.png",
                FormKind::Sleep | FormKind::Shell | FormKind::Exec => {
                    "write how long, such as 1.5 or 20ms"
                }
            }
            .to_owned());
        }
        self.argument(value.as_bytes())?;
        Ok(Args::Listed([value.as_bytes()].into_iter().collect()))
    }

    fn read_list(&self) -> Result<Args, String> {
        let mut list = ArgList::new();
        for (number, line) in self.list.filled() {
            let line = if self.kind.trims() { line.trim() } else { line };
            self.argument(line.as_bytes()).map_err(|why| format!("line {number}: {why}"))?;
            list.push(line.as_bytes());
        }
        match list.is_empty() {
            true => Err("type or paste one argument a line".to_owned()),
            false => Ok(Args::Listed(list)),
        }
    }

    fn read_outside(&self) -> Result<Args, String> {
        let Some(wanted) = self.wanted() else {
            return Err(match self.source {
                Source::Glob => "write a pattern, such as  img/*.png",
                Source::One
                | Source::List
                | Source::Range
                | Source::Random
                | Source::Repeat
                | Source::File => "write the path of a file; every line becomes a task",
            }
            .to_owned());
        };
        match &self.reading {
            Reading::Read { wanted: read, list, .. } if *read == wanted => {
                for (at, line) in list.iter().enumerate() {
                    self.argument(line).map_err(|why| format!("line {}: {why}", at + 1))?;
                }
                Ok(Args::Listed(ArgList::clone(list)))
            }
            Reading::Failed(read, why) if *read == wanted => Err(why.clone()),
            Reading::Unread | Reading::Asked(..) | Reading::Read { .. } | Reading::Failed(..) => {
                Err(READING.to_owned())
            }
        }
    }

    /// Checks one argument against what the kind takes.
    fn argument(&self, bytes: &[u8]) -> Result<(), String> {
        let text = str::from_utf8(bytes).map(str::trim);
        match self.kind {
            FormKind::Square if !text.is_ok_and(is_squared) => {
                let text = String::from_utf8_lossy(bytes);
                Err(format!("`{}` is not a whole number", super::parse::shown(&text)))
            }
            FormKind::Sleep => duration_ms(text.unwrap_or("?")).map(drop),
            FormKind::Shell | FormKind::Exec | FormKind::Handler
                if bytes.len() > PAYLOAD_BYTES_MAX =>
            {
                Err(format!("{} bytes are over the limit of {PAYLOAD_BYTES_MAX}", bytes.len()))
            }
            FormKind::Handler if self.args == ArgKind::Json => {
                let json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes);
                json.map(drop).map_err(|error| no_json(&error))
            }
            FormKind::Square | FormKind::Shell | FormKind::Exec | FormKind::Handler => Ok(()),
        }
    }

    fn read_timeout(&self) -> Result<u64, String> {
        match self.trimmed(Field::Timeout) {
            "" | "-" => Ok(0),
            text => duration_ms(text),
        }
    }

    fn read_env(&self) -> Result<Vec<(String, String)>, String> {
        match self.kind.has_command() {
            true => variables(self.text(Field::Env)),
            false => Ok(Vec::new()),
        }
    }

    fn read_cwd(&self) -> Result<Cwd, String> {
        match self.trimmed(Field::Cwd) {
            "" | "worker" => Ok(Cwd::Unset),
            _ if !self.kind.has_command() => Ok(Cwd::Unset),
            "scratch" => Ok(Cwd::Scratch),
            path if path.starts_with('/') => Ok(Cwd::Directory(path.as_bytes().to_vec())),
            _ => Err("write a path from / that the workers have, or scratch, or worker".to_owned()),
        }
    }

    /// Makes the client's key of any text: the first 128 bits of its SHA-256, as `--key` does.
    fn read_key(&self) -> Option<Key> {
        let text = self.trimmed(Field::Key);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let first = digest.as_ref().first_chunk()?;
        (!text.is_empty()).then(|| Key::new(u128::from_be_bytes(*first)))
    }

    fn read_options(&self, faults: &mut Faults) -> Option<BatchOptions> {
        let priority = self.trimmed(Field::Priority).parse::<i16>();
        let priority = priority.map_err(|_| "write a whole number; higher goes first".to_owned());
        let priority = noted(faults, Field::Priority, priority);
        let retries = match self.trimmed(Field::Retries).parse::<u8>() {
            Ok(count) if count <= RETRIES_MAX => Ok(count),
            Ok(_) | Err(_) => {
                Err(format!("write 0 to {RETRIES_MAX}: tries after the first failure"))
            }
        };
        let retries = noted(faults, Field::Retries, retries);
        let backoff = noted(faults, Field::Backoff, backoff(self.text(Field::Backoff)));
        let queue = QueueName::parse(self.trimmed(Field::Queue)).map_err(|error| error.to_string());
        let queue = noted(faults, Field::Queue, queue);
        let (now, offset) = self.clock;
        let not_before = moment(self.text(Field::NotBefore), now, offset);
        let not_before = noted(faults, Field::NotBefore, not_before);
        let name = match self.trimmed(Field::Name) {
            name if name.chars().count() > NAME_CHARS_MAX => {
                Err(format!("a name has at most {NAME_CHARS_MAX} characters"))
            }
            name => Ok(name.to_owned()),
        };
        let labels = noted(faults, Field::Labels, labels(self.text(Field::Labels)));
        let name = noted(faults, Field::Name, name);
        let after = noted(faults, Field::After, self.read_after());
        let jobs_max = noted(faults, Field::Jobs, self.read_jobs());
        let rate = noted(faults, Field::Rate, self.read_rate());
        let options = BatchOptions {
            name: name?,
            queue: queue?,
            priority: priority?,
            retries: retries?,
            backoff: backoff?,
            not_before: not_before?,
            labels: labels?,
            after: after?,
            jobs_max: jobs_max?,
            rate: rate?,
        };
        let checked = options.check_labels().map_err(|error| error.to_string());
        noted(faults, Field::Labels, checked).map(|()| options)
    }
}

impl Form {
    fn read_place(&self, faults: &mut Faults) -> Option<Placement> {
        let needs = Need::parse_all(self.text(Field::Needs)).map_err(|error| error.to_string());
        let needs = noted(faults, Field::Needs, needs);
        let on = Label::parse_all(self.text(Field::On)).map_err(|error| error.to_string());
        let on = noted(faults, Field::On, on);
        Some(Placement { lane: self.lane, needs: needs?, on: on? })
    }

    fn read_after(&self) -> Result<Vec<After>, String> {
        let after = After::parse_all(self.text(Field::After)).map_err(|error| error.to_string())?;
        let unknown = self.newest.and_then(|newest| {
            let one = after.iter().find(|after| after.batch > newest)?;
            Some(format!("there is no batch {}; the newest is {newest}", one.batch))
        });
        match (after.len(), unknown) {
            (_, Some(why)) => Err(why),
            (0..=AFTER_MAX, None) => Ok(after),
            (count, None) => {
                Err(format!("{count} batches are more than the {AFTER_MAX} to wait for"))
            }
        }
    }

    fn read_jobs(&self) -> Result<u32, String> {
        match self.trimmed(Field::Jobs) {
            "" | "-" => Ok(0),
            text => match text.parse::<u32>() {
                Ok(count) if count > 0 => Ok(count),
                Ok(_) | Err(_) => {
                    Err("write how many may run at once; empty is no limit".to_owned())
                }
            },
        }
    }

    fn read_rate(&self) -> Result<Option<Rate>, String> {
        match self.trimmed(Field::Rate) {
            "" | "-" => Ok(None),
            text => Rate::parse(text).map(Some).map_err(|error| error.to_string()),
        }
    }
}

/// Every argument is one line, so that of the place only the column is worth saying.
fn no_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let why = text.split(" at line ").next().unwrap_or_default();
    let column = error.column();
    format!(r#"no JSON at column {column}: {why}; write 12, "a.png" or {{"width": 64}}"#)
}

/// Returns the field that is to blame.
const fn at_fault(error: &SpecError) -> Field {
    match error {
        SpecError::EnvItems { .. } | SpecError::EnvKey => Field::Env,
        SpecError::Cwd { .. } => Field::Cwd,
        SpecError::Place(PlacementError::On { .. }) => Field::On,
        SpecError::Place(PlacementError::CpuOfIo) => Field::Lane,
        SpecError::Place(
            PlacementError::Needs { .. }
            | PlacementError::Twice { .. }
            | PlacementError::Nothing { .. },
        ) => Field::Needs,
        SpecError::NoProgram
        | SpecError::ArgvItems { .. }
        | SpecError::Payload { .. }
        | SpecError::Template(_)
        | SpecError::Output { .. }
        | SpecError::Form(_) => Field::Command,
    }
}

/// Tells whether a worker squares it: the answer has 128 bits.
fn is_squared(text: &str) -> bool {
    text.parse::<i128>().is_ok_and(|number| u64::try_from(number.unsigned_abs()).is_ok())
}

fn noted<T>(faults: &mut Faults, field: Field, read: Result<T, String>) -> Option<T> {
    read.map_err(|why| faults.push((field, why))).ok()
}
