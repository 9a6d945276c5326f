//! Encoding for the journal: postcard, into one buffer of the right size. Knows nothing of what it
//! encodes.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Encodes a value into a buffer that has room for `bytes` at first.
///
/// # Panics
/// When the value holds something that does not know its length; nothing of the engine does.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T, bytes: usize) -> Vec<u8> {
    postcard::serialize_with_flavor(value, Buffer(Vec::with_capacity(bytes)))
        .expect("what the engine keeps always encodes")
}

/// Collects postcard's output.
struct Buffer(Vec<u8>);

impl Flavor for Buffer {
    type Output = Vec<u8>;

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Nearly all are short numbers; where the compiler knows the length it makes no call.
        match *bytes {
            [a] => self.0.push(a),
            [a, b] => self.0.extend_from_slice(&[a, b]),
            [a, b, c] => self.0.extend_from_slice(&[a, b, c]),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}
