//! Join tokens: `ganger1` + base58( pin 32 | id 8 | secret 16 | cluster | addresses | checksum 4 ).
//! Cluster and addresses carry their length in a byte before them, the addresses their count. Does
//! not know what a token allows.

use std::fmt;
use std::str::FromStr;

use ganger_proto::Name;
use zeroize::{Zeroize, Zeroizing};

use super::sha256;
use crate::limits::{TOKEN_ADDRESSES_MAX, TOKEN_CHARS_MAX};

/// What every token begins with.
const PREFIX: &str = "ganger1";
const CHECKSUM_BYTES: usize = 4;

/// A join token. `Display` shows the secret text, `Debug` does not.
#[derive(Clone)]
pub struct Token {
    pub(crate) pin: [u8; 32],
    pub(crate) id: [u8; 8],
    pub(crate) secret: Zeroizing<[u8; 16]>,
    pub(crate) cluster: Name,
    pub(crate) addresses: Vec<String>,
}

/// The text is not a whole token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(pub(crate) String);

impl TokenError {
    fn new(why: &str) -> Self {
        Self(format!("the join token {why}; copy the whole line that `ganger invite` printed"))
    }
}

impl Token {
    /// Returns the name of the cluster that it is of, as whoever made it says.
    pub fn cluster(&self) -> &Name {
        &self.cluster
    }

    /// Returns the addresses that a token has room for.
    pub(crate) fn fitting(addresses: &[String]) -> Vec<String> {
        // As a reader takes them; a host's name of other letters is written in ASCII (RFC 5891).
        let fits = |address: &&String| {
            (1..=255).contains(&address.len()) && address.bytes().all(|b| b.is_ascii_graphic())
        };
        addresses.iter().filter(fits).take(TOKEN_ADDRESSES_MAX).cloned().collect()
    }

    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        bytes.extend_from_slice(&self.pin);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&*self.secret);
        let mut put = |text: &str| {
            bytes.push(u8::try_from(text.len()).expect("texts of a token fit a byte"));
            bytes.extend_from_slice(text.as_bytes());
        };
        put(self.cluster.as_str());
        let count = u8::try_from(self.addresses.len()).expect("a token has few addresses");
        let mut rest = Zeroizing::new(vec![count]);
        for address in &self.addresses {
            rest.push(u8::try_from(address.len()).expect("texts of a token fit a byte"));
            rest.extend_from_slice(address.as_bytes());
        }
        bytes.extend_from_slice(&rest);
        let checksum = sha256(&bytes);
        bytes.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
        bytes
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > TOKEN_CHARS_MAX {
            return Err(TokenError::new("is too long"));
        }
        let Some(encoded) = text.strip_prefix(PREFIX) else {
            return Err(TokenError::new("does not begin with `ganger1`"));
        };
        let decoded = bs58::decode(encoded).into_vec();
        let bytes = Zeroizing::new(
            decoded.map_err(|_| TokenError::new("holds a character that no token has"))?,
        );
        let Some((body, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(TokenError::new("is cut off"));
        };
        if !sha256(body).starts_with(checksum) {
            return Err(TokenError::new("is cut off or mistyped: its checksum does not fit"));
        }
        parse(body).ok_or_else(|| TokenError::new("is of another release"))
    }
}

fn parse(body: &[u8]) -> Option<Token> {
    let (pin, rest) = body.split_first_chunk::<32>()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let (secret, rest) = rest.split_first_chunk::<16>()?;
    let (cluster, rest) = take(rest)?;
    let cluster = Name::parse(cluster).ok()?;
    let (count, mut rest) = rest.split_first()?;
    if !(1..=TOKEN_ADDRESSES_MAX).contains(&usize::from(*count)) {
        return None;
    }
    let mut addresses = Vec::new();
    for _ in 0..*count {
        let (address, after) = take(rest)?;
        if !address.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        addresses.push(address.to_owned());
        rest = after;
    }
    let secret = Zeroizing::new(*secret);
    rest.is_empty().then_some(Token { pin: *pin, id: *id, secret, cluster, addresses })
}

fn take(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = bs58::encode(&*self.bytes()).into_string();
        let shown = write!(f, "{PREFIX}{text}");
        text.zeroize();
        shown
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            pin: [7; 32],
            id: [1; 8],
            secret: Zeroizing::new([9; 16]),
            cluster: Name::parse("host-ab12").unwrap(),
            addresses: vec!["10.0.0.1:7433".into(), "host:7433".into()],
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_shown() {
        let text = token().to_string();
        let read: Token = format!("  {text}\n").parse().unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!((read.pin, read.id, *read.secret), ([7; 32], [1; 8], [9; 16]));
        assert_eq!(read.addresses, token().addresses);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()), "one double-click takes it whole");
        assert_eq!(format!("{read:?}"), "Token([secret])");
    }

    #[test]
    fn a_cut_or_mistyped_token_is_refused_here() {
        let text = token().to_string();
        for end in 0..text.len() {
            assert!(text[..end].parse::<Token>().is_err(), "cut at {end}");
        }
        for at in PREFIX.len()..text.len() {
            for other in ["2", "z", "0", "é"] {
                let mut wrong = text.clone();
                if &wrong[at..=at] != other {
                    wrong.replace_range(at..=at, other);
                    assert!(wrong.parse::<Token>().is_err(), "{other} at {at}");
                }
            }
        }
        assert!(format!("{text}2").parse::<Token>().is_err());
        assert!("x".repeat(1 << 20).parse::<Token>().is_err());
    }

    #[test]
    fn a_whole_token_with_strange_contents_is_refused() {
        for addresses in [vec![], vec!["a b:1".to_owned()]] {
            let text = Token { addresses, ..token() }.to_string();
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
