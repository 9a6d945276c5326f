//! JSON lines as a source: the fields of each object become columns with names; or, for handlers,
//! each line stays the one value that it is.

use std::fmt;
use std::path::Path;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::error::{CliError, Result};
use super::records::{Lines, Row};

/// Lines of a JSON file.
pub(crate) struct JsonLines {
    lines: Lines,
    shape: Shape,
    /// The line that told the names, not handed out yet.
    ahead: Option<Vec<u8>>,
}

/// What a line becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// The value, as it is.
    Value,
    /// The fields of an object, in the order of these names.
    Fields(Vec<String>),
}

/// Whether handlers take the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Commands, whose words name fields.
    Commands,
    /// Handlers.
    Handlers,
}

impl JsonLines {
    /// Opens a file; for commands the names are those of its first object.
    ///
    /// # Errors
    /// When it cannot be read or its first line is no object.
    pub(crate) fn open(path: &Path, taken_by: For) -> Result<Self> {
        let mut lines = Lines::open(path, b'\n')?;
        if taken_by == For::Handlers {
            return Ok(Self { lines, shape: Shape::Value, ahead: None });
        }
        let mut first = Vec::new();
        let ahead = next_line(&mut lines, &mut first)?.then_some(first);
        let names = match &ahead {
            Some(line) => fields(line, &lines)?.into_iter().map(|(name, _)| name).collect(),
            None => Vec::new(),
        };
        Ok(Self { lines, shape: Shape::Fields(names), ahead })
    }

    /// Returns the names of the columns; none for handlers.
    pub(crate) fn names(&self) -> Option<&[String]> {
        match &self.shape {
            Shape::Value => None,
            Shape::Fields(names) => Some(names),
        }
    }

    /// Says where the newest line is.
    pub(crate) fn place(&self) -> String {
        self.lines.place()
    }

    /// Returns the file's name.
    pub(crate) fn name(&self) -> &str {
        self.lines.name()
    }

    /// Adds the next line's columns to `row`; tells whether there was one.
    ///
    /// # Errors
    /// When it cannot be read or is no JSON.
    pub(crate) fn next_into(&mut self, row: &mut Row) -> Result<bool> {
        let mut line = Vec::new();
        match self.ahead.take() {
            Some(ahead) => line = ahead,
            None if !next_line(&mut self.lines, &mut line)? => return Ok(false),
            None => {}
        }
        match &self.shape {
            Shape::Value => {
                serde_json::from_slice::<serde::de::IgnoredAny>(&line)
                    .map_err(|error| wrong(&self.lines, &error))?;
                row.push(line);
            }
            Shape::Fields(names) => {
                let mut fields = fields(&line, &self.lines)?;
                row.extend(names.iter().map(|name| {
                    let found = fields.iter().position(|(known, _)| known == name);
                    found.map(|at| fields.swap_remove(at).1).unwrap_or_default()
                }));
            }
        }
        Ok(true)
    }
}

/// Reads the next line that is not blank.
fn next_line(lines: &mut Lines, into: &mut Vec<u8>) -> Result<bool> {
    loop {
        into.clear();
        if !lines.next_into(into)? {
            return Ok(false);
        }
        if !into.iter().all(u8::is_ascii_whitespace) {
            return Ok(true);
        }
    }
}

fn wrong(lines: &Lines, error: &serde_json::Error) -> CliError {
    CliError::usage(format!("{} is not JSON ({error}); write one value a line", lines.place()))
}

/// Reads an object's fields as text, in order: strings as they are, other values as JSON.
fn fields(line: &[u8], lines: &Lines) -> Result<Vec<(String, Vec<u8>)>> {
    let Fields(fields) = serde_json::from_slice(line).map_err(|error| wrong(lines, &error))?;
    Ok(fields.into_iter().map(|(name, value)| (name, text(value))).collect())
}

fn text(value: Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.into_bytes(),
        Value::Null => Vec::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string().into_bytes()
        }
    }
}

/// The fields of an object in the order of the file, which a map would not keep.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object, whose fields are named as {name} in the command")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, taken_by: For) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut json = JsonLines::open(file.path(), taken_by)?;
        let mut all = Vec::new();
        let mut row = Row::new();
        while json.next_into(&mut row)? {
            all.push(row.drain(..).map(|value| String::from_utf8(value).unwrap()).collect());
        }
        Ok((json.names().unwrap_or_default().to_vec(), all))
    }

    #[test]
    fn fields_become_columns_in_the_order_of_the_first_object() {
        let text = "{\"z\": \"a b\", \"n\": 5}\n\n{\"n\": [1], \"x\": 1, \"z\": null}\n";
        let (names, all) = rows(text, For::Commands).unwrap();
        assert_eq!(names, ["z", "n"]);
        assert_eq!(all, [["a b", "5"], ["", "[1]"]]);
        let (_, all) = rows("{\"b\":1}\n \"x\"\n", For::Handlers).unwrap();
        assert_eq!(all, [["{\"b\":1}"], [" \"x\""]]);
    }

    #[test]
    fn what_is_no_json_has_a_sentence() {
        let check = |text: &str, taken_by: For, part: &str| {
            let error = rows(text, taken_by).unwrap_err();
            assert!(error.sentence.contains(part), "{error}");
        };
        check("{\"a\":1}\n{\n", For::Commands, "line 2 of");
        check("5\n", For::Commands, "an object, whose fields");
        check("{}\nx\n", For::Handlers, "line 2 of");
    }
}
