//! Join tokens: `ganger1` + base58( pin 32 | id 8 | secret 16 | cluster | addresses | checksum 4 ),
//! where cluster and each address are a length byte and text, and the checksum is the start of the
//! SHA-256 of all before it. A cut or mistyped token is refused before a packet leaves.

use std::fmt;
use std::str::FromStr;

use ganger_proto::Name;
use zeroize::Zeroizing;

use super::sha256;

/// What a token's text begins with; the digit is its version.
const PREFIX: &str = "ganger1";
/// Characters of a token's text.
const TEXT_MAX: usize = 1_024;
/// Addresses in a token.
pub(crate) const ADDRESSES_MAX: usize = 8;
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
pub struct TokenError(String);

fn bad(why: &str) -> TokenError {
    TokenError(format!("this is not a whole join token: {why}; copy the line again"))
}

impl Token {
    /// Returns the cluster that it is for.
    pub const fn cluster(&self) -> &Name {
        &self.cluster
    }

    /// Returns where its master is, `host:port`.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > TEXT_MAX {
            return Err(bad("it is too long"));
        }
        let body =
            text.strip_prefix(PREFIX).ok_or_else(|| bad("it does not begin with ganger1"))?;
        let bytes = bs58::decode(body).into_vec().map_err(|_| bad("it has a foreign character"))?;
        let bytes = Zeroizing::new(bytes);
        let (body, sum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| bad("it is cut off"))?;
        if !sha256(body).starts_with(sum) {
            return Err(bad("its checksum does not fit, it is cut off or mistyped"));
        }
        read(body).ok_or_else(|| bad("its parts do not fit"))
    }
}

fn read(body: &[u8]) -> Option<Token> {
    let (pin, rest) = body.split_first_chunk::<32>()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let (secret, rest) = rest.split_first_chunk::<16>()?;
    let (cluster, rest) = text(rest)?;
    let (count, mut rest) = rest.split_first()?;
    let mut addresses = Vec::new();
    for _ in 0..*count {
        let (address, after) = text(rest)?;
        addresses.push(address.to_owned());
        rest = after;
    }
    let sound = rest.is_empty() && (1..=ADDRESSES_MAX).contains(&addresses.len());
    sound.then_some(())?;
    Some(Token {
        pin: *pin,
        id: *id,
        secret: Zeroizing::new(*secret),
        cluster: Name::parse(cluster).ok()?,
        addresses,
    })
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    let text = std::str::from_utf8(text).ok()?;
    text.chars().all(|c| c.is_ascii_graphic()).then_some((text, rest))
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = Zeroizing::new(Vec::new());
        body.extend_from_slice(&self.pin);
        body.extend_from_slice(&self.id);
        body.extend_from_slice(&*self.secret);
        put(&mut body, self.cluster.as_str());
        let addresses: Vec<&String> = self.addresses.iter().take(ADDRESSES_MAX).collect();
        body.push(u8::try_from(addresses.len()).expect("a token has few addresses"));
        for address in addresses {
            put(&mut body, address);
        }
        let sum = sha256(&body);
        body.extend_from_slice(&sum[..CHECKSUM_BYTES]);
        write!(f, "{PREFIX}{}", bs58::encode(&*body).into_string())
    }
}

fn put(body: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    body.push(u8::try_from(bytes.len()).expect("the text was cut to fit"));
    body.extend_from_slice(bytes);
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Token {
        Token {
            pin: [3; 32],
            id: [1; 8],
            secret: Zeroizing::new([2; 16]),
            cluster: Name::parse("build01-x7k2").unwrap(),
            addresses: vec!["10.0.0.1:7433".to_owned(), "build01:7433".to_owned()],
        }
    }

    #[test]
    fn a_token_reads_as_it_was_written() {
        let text = sample().to_string();
        let read: Token = text.parse().unwrap();
        assert_eq!(read.addresses, sample().addresses);
        assert_eq!((read.pin, read.id, read.cluster), ([3; 32], [1; 8], sample().cluster));
        assert!(!format!("{read:?}").contains(&text[10..20]));
        assert!(text.len() < 180, "{}", text.len());
    }

    #[test]
    fn cut_and_mistyped_tokens_are_refused_here() {
        let text = sample().to_string();
        for end in 0..text.len() {
            assert!(text[..end].parse::<Token>().is_err(), "cut at {end}");
        }
        for at in PREFIX.len()..text.len() {
            let mut typed = text.clone();
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            typed.replace_range(at..=at, other);
            assert!(typed.parse::<Token>().is_err(), "mistyped at {at}");
        }
        assert!("ganger1".parse::<Token>().unwrap_err().to_string().contains("copy the line"));
    }
}
