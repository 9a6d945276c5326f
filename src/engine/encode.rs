//! Encoding for the journal: postcard, into one buffer of the right size, and back. Knows nothing
//! of what it encodes.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes a value into a buffer that has room for `bytes` at first.
///
/// # Panics
/// When the value holds something that does not know its length; nothing of the engine does.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T, bytes: usize) -> Vec<u8> {
    postcard::to_extend(value, Vec::with_capacity(bytes))
        .expect("what the engine keeps always encodes")
}

/// Decodes a value; every byte must belong to it.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}
