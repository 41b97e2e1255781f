//! What can be wrong with a header block.

/// Why a header block cannot be read.
///
/// The tables of both ends differ from here on: the connection ends with COMPRESSION_ERROR
/// (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The block ends inside of a field.
    #[error("the header block ends inside of a field")]
    Truncated,
    /// An integer is above 2^28, or has more than five bytes after its prefix (RFC 7541 §5.1).
    #[error("an integer of the header block is too large")]
    IntegerTooLarge,
    /// Zero, or beyond the end of both tables (RFC 7541 §2.3.3 and §6.1).
    #[error("the header block refers to an entry that is in no table")]
    NoSuchIndex,
    /// A size update after a field (RFC 7541 §4.2).
    #[error("the table's size changes behind a field")]
    SizeUpdateMisplaced,
    /// A size update above the limit (RFC 7541 §6.3).
    #[error("the table's size is above its limit")]
    SizeUpdateTooLarge,
    /// The limit fell below the table's size, and the block does not begin with a size update
    /// (RFC 7541 §4.2).
    #[error("the table's size does not follow its lowered limit")]
    SizeUpdateMissing,
    /// What follows the last symbol of a Huffman-coded string is longer than seven bits or not all
    /// ones (RFC 7541 §5.2).
    #[error("a Huffman-coded string ends with wrong padding")]
    Padding,
    /// The symbol for the end of a string stands in a Huffman-coded string (RFC 7541 §5.2).
    #[error("a Huffman-coded string contains the end-of-string symbol")]
    EndOfString,
}
