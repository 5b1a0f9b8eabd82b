//! Passwords become Argon2id strings here, off the async threads and a few at a time.
//! A wrong password, an unknown login and a missing hash cost the same. Edge: threads.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::world;

/// What one guess costs whoever steals the file, and us at each sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
}

impl Cost {
    /// 64 MiB and three passes: about 0.1 s here, and dear for a thief. The appliance knows no other.
    pub const FULL: Self = Self { memory_kib: 64 * 1024, passes: 3 };
    /// Protects nothing: for tests of everything but this file, handed in by hand.
    pub const TOKEN: Self = Self { memory_kib: 64, passes: 1 };
}

const LANES: u32 = 1;
/// Hashes at once: bounds memory to 128 MiB however many people sign in on Monday morning.
const AT_ONCE: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MM-5006 the password cannot be hashed now: {0}")]
pub struct HashingError(String);

/// Cheap to clone; all clones share the limit.
#[derive(Clone)]
pub struct Hasher {
    cost: Cost,
    at_once: Arc<Semaphore>,
    /// Verified against when there is no hash, so that the time tells nothing.
    nobody: Arc<str>,
}

impl Hasher {
    /// Hashes once, for `nobody`.
    pub fn new(cost: Cost) -> Result<Self, HashingError> {
        let nobody = hash_now(cost, "nobody has this password", &salt()?)?;
        Ok(Self { cost, at_once: Arc::new(Semaphore::new(AT_ONCE)), nobody: nobody.into() })
    }

    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, HashingError> {
        let (cost, salt) = (self.cost, salt()?);
        self.off_thread(move || hash_now(cost, &password, &salt)).await
    }

    /// `None` is nobody's hash: always wrong, and as slow as any other.
    pub async fn verify(
        &self,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, HashingError> {
        let nobody = hash.is_none();
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        let cost = self.cost;
        let right = self.off_thread(move || verify_now(cost, &password, &hash)).await?;
        Ok(right && !nobody)
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let permit =
            self.at_once.clone().acquire_owned().await.map_err(|error| HashingError(error.to_string()))?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .map_err(|error| HashingError(error.to_string()))?
    }
}

fn salt() -> Result<SaltString, HashingError> {
    let random = world::random::<16>().map_err(|error| HashingError(error.to_string()))?;
    SaltString::encode_b64(random.as_slice()).map_err(|error| HashingError(error.to_string()))
}

fn argon2(cost: Cost) -> Result<Argon2<'static>, HashingError> {
    let params = Params::new(cost.memory_kib, cost.passes, LANES, None)
        .map_err(|error| HashingError(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(cost: Cost, password: &str, salt: &SaltString) -> Result<String, HashingError> {
    let hash = argon2(cost)?.hash_password(password.as_bytes(), salt);
    Ok(hash.map_err(|error| HashingError(error.to_string()))?.to_string())
}

fn verify_now(cost: Cost, password: &str, hash: &str) -> Result<bool, HashingError> {
    let hash = PasswordHash::new(hash).map_err(|error| HashingError(error.to_string()))?;
    match argon2(cost)?.verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(error) => Err(HashingError(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_somebody_is_right() {
        let hasher = Hasher::new(Cost::FULL).unwrap();
        let secret = |text: &str| Zeroizing::new(text.to_owned());
        let hash = hasher.hash(secret("みまもり-2026")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"));
        assert!(hasher.verify(secret("みまもり-2026"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(secret("みまもり-2025"), Some(hash)).await.unwrap());
        assert!(!hasher.verify(secret("nobody has this password"), None).await.unwrap());
    }
}
