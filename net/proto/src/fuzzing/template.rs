//! Templates and the form of arguments: what is parsed keeps its source, what is quoted is one word
//! to a shell, and a line that needs no shell has the words that a shell would make of it.
//!
//! The first byte says what the argument is, see `form_of`; the template goes to the first line
//! end, and the argument follows.

use crate::form::{ArgForm, Columns, Paths};
use crate::template::{
    EXPANDED_BYTES_MAX, Quote, Template, Values, argv_bytes, expand_argv, expand_line, join_argv,
    quote,
};

/// Reads the bytes as a template and an argument, and expands the one with the other.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let form = form_of(*first);
    let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (source, argument) = (&rest[..at], rest.get(at + 1..));
    check_form(&form, argument.unwrap_or_default());
    let template = match Template::parse(source) {
        Ok(template) => template,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control), "{error}");
            return;
        }
    };
    assert_eq!(template.source(), source);
    let values = Values::new(&form, argument, 7).in_slot(3);
    for column in values.columns() {
        let mut quoted = Vec::new();
        quote(column, &mut quoted);
        assert_eq!(shell_words(&quoted), [column.to_vec()], "{column:?}");
    }
    let line = expand_line(&template, &values);
    let mut joined = Vec::new();
    join_argv(std::slice::from_ref(&template), &values, &mut joined);
    let argv = expand_argv(std::slice::from_ref(&template), &values);
    // What is put in last may pass the limit by its own length.
    let most = EXPANDED_BYTES_MAX + 8 * bytes.len() + 64;
    for length in [line.len(), joined.len(), argv_bytes(&argv)] {
        assert!(length <= most, "{length} bytes of {}", bytes.len());
    }
    if line.len() >= EXPANDED_BYTES_MAX {
        return;
    }
    let mut verbatim = Vec::new();
    template.expand(&values, Quote::Verbatim, &mut verbatim);
    assert!(verbatim.len() <= line.len(), "quotes only add");
    let Some(words) = template.without_shell(&form) else { return };
    let argv = expand_argv(&words, &values);
    assert_eq!(argv, shell_words(&line), "{:?}", String::from_utf8_lossy(&line));
    for word in &words {
        assert_eq!(Template::parse(word.source()).as_ref(), Ok(word));
    }
}

/// Two bits for the number of columns, none meaning one text; then whether they have names, whether
/// the argument brings its number, and whether it brings what was seen of a file.
fn form_of(byte: u8) -> ArgForm {
    let count = u16::from(byte & 3);
    let names = if byte & 4 == 0 { Vec::new() } else { vec!["a".to_owned(), "b c".to_owned()] };
    let columns = if count == 0 { Columns::Text } else { Columns::Many { count, names } };
    let paths = if byte & 16 == 0 { Paths::Unchecked } else { Paths::AsSeen };
    ArgForm { columns, numbered: byte & 8 != 0, paths }
}

/// What an argument is split into joins to one that splits alike.
fn check_form(form: &ArgForm, argument: &[u8]) {
    let fields = form.fields(argument);
    let mut joined = Vec::new();
    form.join(fields.number.unwrap_or(0), fields.seen, &fields.columns, &mut joined);
    let again = form.fields(&joined);
    assert_eq!((again.seen, &again.columns), (fields.seen, &fields.columns), "{argument:?}");
    assert_eq!(again.number.unwrap_or(0), fields.number.unwrap_or(0), "{argument:?}");
    let given = form.fields_given(argument).columns;
    assert!(given.len() <= fields.columns.len() && fields.columns.starts_with(&given));
    let mut shown = Vec::new();
    form.show(argument, &mut shown);
    assert!(shown.len() <= argument.len(), "{argument:?}");
}

/// Cuts a line as a POSIX shell does whose only signs are blanks, quotes and backslashes.
fn shell_words(line: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\'' => {
                quoted = !quoted;
                open.get_or_insert_default();
            }
            b' ' | b'\t' if !quoted => words.extend(open.take()),
            b'\\' if !quoted => open.get_or_insert_default().extend(bytes.next()),
            _ => open.get_or_insert_default().push(byte),
        }
    }
    assert!(!quoted, "a quote is open in {:?}", String::from_utf8_lossy(line));
    words.extend(open);
    words
}
