//! Why a resource cannot be what it says.

/// Why a resource was rejected.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The bytes are not a message of this type.
    #[error("the message is malformed: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// The resource is of a kind that this version does not know.
    #[error("neither a workload nor a service")]
    UnknownKind,
    /// The name under which the resource came is not its key.
    #[error("the resource's own key is `{0}`")]
    Key(String),
    /// A field has a value that it cannot have.
    #[error("{field}: {problem}")]
    Field {
        /// The field, with its message where that is not the resource itself.
        field: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with a field.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is required.
    #[error("missing")]
    Missing,
    /// Not an IP address.
    #[error("expected an IP address of 4 or 16 bytes, got {0} bytes")]
    Address(usize),
    /// Not a prefix length of the address beside it.
    #[error("expected a prefix length of at most {most}, got {got}")]
    Prefix {
        /// The length of the whole address in bits.
        most: u8,
        /// What it says.
        got: u32,
    },
    /// Not a port.
    #[error("expected a port from {least} to 65535, got {got}")]
    Port {
        /// 0 where a port may be absent, else 1.
        least: u16,
        /// What it says.
        got: u32,
    },
    /// Not the key of a service.
    #[error("expected namespace/hostname, got `{0}`")]
    Service(String),
    /// A value that this version does not know, where guessing would be dangerous.
    #[error("unknown value {0}")]
    Unknown(i32),
    /// A field that this version does not know, where ignoring it would be dangerous.
    #[error("unknown field {0}")]
    UnknownField(u64),
    /// What cannot be understood for another reason.
    #[error("{0}")]
    Other(String),
}

impl Problem {
    pub(super) fn of(self, field: &'static str) -> ConvertError {
        ConvertError::Field {
            field,
            problem: self,
        }
    }
}
