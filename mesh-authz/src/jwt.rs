//! Verifying JSON Web Tokens as RequestAuthentications say (feature `jwt`).
//!
//! - [`JwtRule`]: one rule of a RequestAuthentication; [`Profile`]: exactly like Istio, or safer.
//! - [`Authenticator`]: all rules for one workload. [`Authenticator::check`] goes from a request to
//!   its [claims](crate::claims) or to a [`JwtError`], which is an answer in exact words.
//! - [`Jwks`]: keys that are given; [`JwksStore`]: keys that are fetched, and the [`Refresher`] that
//!   says when. Fetching itself is a [`JwksFetcher`]; [`AddressGuard`] decides what may be reached.
//!
//! Nothing here needs a runtime, but for `HttpFetcher` and `drive` of the feature `jwks-http`. The cryptography is that of the feature `aws-lc-rs`, or else
//! `ring`; with neither of them every token is refused.
//!
//! ```
//! use mesh_authz::jwt::{Authenticator, JwksStore, Jwks, JwtRule, KeySource, Profile};
//! use std::time::SystemTime;
//!
//! let keys = Jwks::parse(br#"{"keys": []}"#)?;
//! let rule = JwtRule::new("https://idp.example", KeySource::Inline(keys));
//! let rules = Authenticator::new(vec![rule], &JwksStore::new(), Profile::strict())?;
//!
//! let (mut without, ()) = http::Request::new(()).into_parts();
//! assert!(rules.check(&mut without, SystemTime::now())?.claims.is_none());
//!
//! let request = http::Request::builder().header("authorization", "Bearer x.y");
//! let (mut bad, ()) = request.body(())?.into_parts();
//! let error = rules.check(&mut bad, SystemTime::now()).unwrap_err();
//! assert_eq!(error.status(), 401);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod algorithm;
mod authenticator;
mod base64;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod crypto;
#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
#[path = "jwt/without_crypto.rs"]
mod crypto;
#[cfg(feature = "jwks-http")]
mod drive;
mod error;
mod fetch;
mod freshness;
mod invalid;
mod json;
mod key;
mod keys;
mod material;
mod output;
mod place;
mod profile;
mod provider;
mod refresh;
mod remote;
mod rule;
mod schedule;
mod source;
mod store;
mod token;
#[cfg(feature = "jwks-http")]
mod web;

pub use address::AddressGuard;
pub use algorithm::{Algorithm, KeyType};
pub use authenticator::{Authenticated, Authenticator};
#[cfg(feature = "jwks-http")]
pub use drive::drive;
pub use error::JwtError;
pub use fetch::{Document, FetchError, FetchedKeys, JwksFetcher, fetch};
pub use freshness::max_age;
pub use invalid::{InvalidRule, RuleProblem};
pub use key::KeyProblem;
pub use keys::{InvalidJwks, Jwks, LARGEST_JWKS, MOST_KEYS, SkippedKey};
pub use profile::Profile;
pub use refresh::{FetchOrder, Refresher};
pub use remote::{FetchedAt, Held, RemoteKeys};
pub use rule::{ClaimToHeader, HeaderPlace, JwtRule, KeySource};
pub use schedule::RefreshPolicy;
pub use source::JwksSource;
pub use store::JwksStore;
pub use token::LONGEST_TOKEN;
#[cfg(feature = "jwks-http")]
pub use web::HttpFetcher;
