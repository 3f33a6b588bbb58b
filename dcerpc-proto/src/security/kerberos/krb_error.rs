//! KRB-ERROR (RFC 4120 5.9.1), by which a server refuses a ticket. In DCE style
//! it comes bare, which the library does not expect.

use crate::security::spnego::der::{Reader, tag};

/// Application 30, constructed.
const APPLICATION_30: u8 = 0x7e;
const INTEGER: u8 = 0x02;

/// Returns the error code (RFC 4120 7.5.9), where the token is a KRB-ERROR.
pub(super) fn code(token: &[u8]) -> Option<i32> {
    let content = Reader::sole(token, APPLICATION_30)?;
    let mut fields = Reader::new(Reader::sole(content, tag::SEQUENCE)?);
    // pvno, msg-type, ctime, cusec, stime, susec
    for number in 0..6 {
        fields.optional(tag::context(number))?;
    }
    let code = Reader::sole(fields.expect(tag::context(6))?, INTEGER)?;
    // Every code there is fits in one byte.
    match code {
        [code @ 0..=0x7f] => Some(i32::from(*code)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    /// KRB_AP_ERR_SKEW.
    const SKEW: &[u8] = &[
        0x7e, 0x24, 0x30, 0x22, 0xa0, 3, 2, 1, 5, 0xa1, 3, 2, 1, 30, 0xa4, 0x11, 0x18, 0x0f, b'2',
        b'0', b'2', b'6', b'1', b'1', b'2', b'2', b'0', b'7', b'2', b'7', b'0', b'0', b'Z', 0xa6,
        3, 2, 1, 37,
    ];

    #[test]
    fn the_code_is_found_behind_the_fields_before_it() {
        assert_eq!(code(SKEW), Some(37));
    }

    #[test]
    fn what_is_no_whole_error_has_no_code() {
        for end in 0..SKEW.len() {
            assert_eq!(code(&SKEW[..end]), None, "{end}");
        }
        assert_eq!(code(&[0x6f, 0]), None);
    }
}
