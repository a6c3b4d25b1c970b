//! Every random draw of this crate is a function of (seed, purpose, key).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// The first bytes of the SHA-256 of (seed, purpose, key), with the lengths hashed too.
fn hash(seed: u64, purpose: &str, key: &[u8]) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(seed.to_le_bytes());
    sha.update((purpose.len() as u64).to_le_bytes());
    sha.update(purpose.as_bytes());
    sha.update(key);
    sha.finalize().into()
}

/// A generator that belongs to (seed, purpose, key) and to nothing else.
pub fn rng(seed: u64, purpose: &str, key: impl AsRef<[u8]>) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(hash(seed, purpose, key.as_ref()))
}

/// A number that orders things at random, by their own key and not by their position.
pub(crate) fn rank(seed: u64, purpose: &str, key: &str) -> u64 {
    let bytes = hash(seed, purpose, key.as_bytes());
    u64::from_le_bytes([
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
    ])
}
