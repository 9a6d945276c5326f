//! Join tokens: `ganger1` + base58( pin 32 | id 8 | secret 16 | cluster | addresses | checksum 4 ).

use std::fmt;
use std::str::FromStr;

/// A join token. `Display` shows the secret text, `Debug` does not.
#[derive(Clone)]
pub struct Token {}

/// The text is not a whole token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(pub(crate) String);

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(_text: &str) -> Result<Self, TokenError> {
        unimplemented!()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([secret])")
    }
}
