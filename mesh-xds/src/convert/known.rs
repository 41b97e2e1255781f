//! Whether a message has fields that this version does not know.
//!
//! In a policy a field that is not understood may be a condition: without it an ALLOW would be
//! wider than its author meant. The decoder skips such fields, so they are looked for here.

use bytes::Buf;

use super::error::{ConvertError, Problem};

/// The fields of a message: their numbers, and what messages are in them.
type Fields = &'static [(u64, Option<&'static Message>)];

/// A message and its fields.
pub(super) struct Message {
    name: &'static str,
    fields: Fields,
}

const TEXT: Message = Message {
    name: "string match",
    fields: &[(1, None), (2, None), (3, None), (4, None)],
};
const ADDRESS: Message = Message {
    name: "address",
    fields: &[(1, None), (2, None)],
};
const ACCOUNT: Message = Message {
    name: "service account",
    fields: &[(1, None), (2, None)],
};
const MATCH: Message = Message {
    name: "match",
    fields: &[
        (1, Some(&TEXT)),
        (2, Some(&TEXT)),
        (3, Some(&TEXT)),
        (4, Some(&TEXT)),
        (5, Some(&ADDRESS)),
        (6, Some(&ADDRESS)),
        (7, Some(&ADDRESS)),
        (8, Some(&ADDRESS)),
        (9, None),
        (10, None),
        (11, Some(&ACCOUNT)),
        (12, Some(&ACCOUNT)),
        (13, None),
    ],
};
const CLAUSE: Message = Message {
    name: "clause",
    fields: &[(2, Some(&MATCH))],
};
const RULE: Message = Message {
    name: "rule",
    fields: &[(1, Some(&CLAUSE))],
};
/// `istio.security.Authorization`.
pub(super) const AUTHORIZATION: Message = Message {
    name: "policy",
    fields: &[
        (1, None),
        (2, None),
        (3, None),
        (4, None),
        (5, Some(&RULE)),
        (6, None),
        (7, None),
    ],
};

/// Looks through a message that has been decoded before, so it is well-formed.
pub(super) fn check(mut bytes: &[u8], message: &Message) -> Result<(), ConvertError> {
    while !bytes.is_empty() {
        let key = prost::encoding::decode_varint(&mut bytes)?;
        let (number, kind) = (key >> 3, key & 7);
        let unknown = || Problem::UnknownField(number).of(message.name);
        let (_, inner) = message
            .fields
            .iter()
            .find(|(known, _)| *known == number)
            .ok_or_else(unknown)?;
        match kind {
            0 => {
                prost::encoding::decode_varint(&mut bytes)?;
            }
            2 => {
                let length = prost::encoding::decode_varint(&mut bytes)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let content = bytes.get(..length).ok_or_else(unknown)?;
                if let Some(inner) = inner {
                    check(content, inner)?;
                }
                bytes.advance(length);
            }
            // No field of these messages is of another kind.
            _ => return Err(unknown()),
        }
    }
    Ok(())
}
