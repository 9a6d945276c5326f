//! Join tokens: what is read shows itself again, and nothing but a whole token is read.
//!
//! When the first byte is odd the others are a token's inside, which gets its checksum and its
//! letters here: no fuzzer guesses those. Else they are its text.

use crate::pki::sha256;
use crate::pki::token::Token;

/// Reads the bytes as a token.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    if first & 1 == 0 {
        if let Ok(text) = std::str::from_utf8(rest) {
            read(text);
        }
        return;
    }
    let checksum = sha256(rest);
    let mut whole = rest.to_vec();
    whole.extend(checksum.iter().take(4));
    let text = format!("ganger1{}", bs58::encode(&whole).into_string());
    read(&text);
    // A changed letter is a mistyped token.
    let at = 7 + usize::from(first >> 1) % (text.len() - 7);
    let other = if text.as_bytes().get(at) == Some(&b'2') { "3" } else { "2" };
    let mistyped = [&text[..at], other, &text[at + 1..]].concat();
    assert!(mistyped.parse::<Token>().is_err(), "{mistyped}");
}

fn read(text: &str) {
    match text.parse::<Token>() {
        Ok(token) => {
            assert_eq!(token.to_string(), text.trim());
            assert_eq!(format!("{token:?}"), "Token([secret])");
            let known = token.addresses.iter().all(|address| address.is_ascii());
            assert!(known && !token.addresses.is_empty());
            // What a token names is what a token of these addresses would hold.
            let named = token.addresses.iter().filter(|address| !address.is_empty());
            assert_eq!(Token::fitting(&token.addresses).len(), named.count());
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.contains("ganger invite"), "{sentence}");
            assert!(!sentence.contains(char::is_control), "{sentence:?}");
        }
    }
}
