//! Boxes at the boundaries of a stack.

use std::future::Future;
use std::pin::Pin;

/// A boxed error of a service that is a parameter.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A boxed future, once per connection or stream at most.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
