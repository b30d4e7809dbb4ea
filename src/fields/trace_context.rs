//! `traceparent` and `tracestate` (W3C Trace Context, levels 1 and 2).

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::text;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What `traceparent` says (§3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceParent {
    /// Not zero.
    pub trace_id: u128,
    /// The span of whoever sent it; not zero.
    pub parent_id: u64,
    pub flags: u8,
}

/// The caller may have recorded the trace (§3.2.2.5.1).
pub const SAMPLED: u8 = 1;
/// Level 2 §3.2.2.5.2: the right-most seven bytes of the trace id are random.
pub const RANDOM: u8 = 2;

/// The field is there and says nothing that can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed traceparent")]
pub struct Malformed;

impl TraceParent {
    /// # Errors
    /// [`Malformed`], also where there are several.
    pub fn parse(headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(line), None) => Self::from_bytes(line.as_bytes()).map(Some).ok_or(Malformed),
            (Some(_), Some(_)) => Err(Malformed),
        }
    }

    /// §3.2.2. Of a later version that is read which this one has (§4.3).
    fn from_bytes(line: &[u8]) -> Option<Self> {
        let (known, rest) = line.split_at_checked(LENGTH)?;
        let version = hexadecimal(known.get(..2)?)?;
        let is_ours = version == 0;
        let has_more = !rest.is_empty();
        if version == 0xff || (is_ours && has_more) || (has_more && !rest.starts_with(b"-")) {
            return None;
        }
        let dashes = [2, 35, 52].map(|at| known.get(at) == Some(&b'-'));
        let trace_id = hexadecimal(known.get(3..35)?)?;
        let parent_id = u64::try_from(hexadecimal(known.get(36..52)?)?).ok()?;
        let flags = u8::try_from(hexadecimal(known.get(53..55)?)?).ok()?;
        let is_whole = dashes == [true; 3] && trace_id != 0 && parent_id != 0;
        is_whole.then_some(Self {
            trace_id,
            parent_id,
            // §3.2.2.5: flags that are not known are not passed on.
            flags: flags & (SAMPLED | RANDOM),
        })
    }

    pub fn to_value(self) -> HeaderValue {
        let mut out = BytesMut::with_capacity(LENGTH);
        out.put_slice(b"00-");
        put_hexadecimal(&mut out, self.trace_id, 32);
        out.put_u8(b'-');
        put_hexadecimal(&mut out, self.parent_id.into(), 16);
        out.put_u8(b'-');
        put_hexadecimal(&mut out, self.flags.into(), 2);
        text::into_value(out)
    }
}

/// The members of `tracestate`, in one line; nothing where it is not there or not as it should be
/// (§3.3: then it is discarded as a whole, and `traceparent` stays).
pub fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut out = BytesMut::new();
    let mut members = 0;
    for line in headers.get_all(TRACESTATE) {
        for member in line.as_bytes().split(|byte| *byte == b',') {
            let member = member.trim_ascii();
            if member.is_empty() {
                continue;
            }
            members += 1;
            let length = out.len() + 1 + member.len();
            if !is_member(member) || members > MEMBERS_MAX || length > STATE_BYTES_MAX {
                return None;
            }
            if !out.is_empty() {
                out.put_u8(b',');
            }
            out.put_slice(member);
        }
    }
    (members > 0).then(|| text::into_value(out))
}

/// The digits of a trace id, as they stand in the field.
pub fn digits(trace_id: u128) -> String {
    format!("{trace_id:032x}")
}

/// `00-<32>-<16>-<2>`.
const LENGTH: usize = 55;
/// §3.3.1.1: "There can be a maximum of 32 list-members in a list."
const MEMBERS_MAX: usize = 32;
/// §3.3.1.5 asks for at least 512.
const STATE_BYTES_MAX: usize = 2048;
/// §3.3.1.3.1 and §3.3.1.3.2, each.
const MEMBER_PART_MAX: usize = 256;

/// Lower-case digits only (§3.2.1).
fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(digit))
    })
}

fn put_hexadecimal(out: &mut BytesMut, number: u128, digits: u32) {
    for at in (0..digits).rev() {
        let digit = u8::try_from((number >> (4 * at)) & 0xf).unwrap_or_default();
        out.put_u8(match digit {
            0..=9 => b'0' + digit,
            _ => b'a' + (digit - 10),
        });
    }
}

/// `key "=" value`.
fn is_member(member: &[u8]) -> bool {
    let Some(at) = member.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let (key, value) = (member.get(..at), member.get(at + 1..));
    let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
    let of_key =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(byte);
    let of_value = |byte: &u8| matches!(byte, 0x20..=0x7e) && !b",=".contains(byte);
    let begins = key
        .first()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    begins
        && key.len() <= MEMBER_PART_MAX
        && key.iter().all(of_key)
        && (1..=MEMBER_PART_MAX).contains(&value.len())
        && value.iter().all(of_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parsed(lines: &[&str]) -> Result<Option<TraceParent>, Malformed> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(TRACEPARENT, line.parse().unwrap());
        }
        TraceParent::parse(&headers)
    }

    fn stated(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(TRACESTATE, line.parse().unwrap());
        }
        state(&headers).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let parent = parsed(&[GOOD]).unwrap().unwrap();
        assert_eq!(parent.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.parent_id, 0x00f0_67aa_0ba9_02b7);
        assert_eq!(parent.flags, SAMPLED);
        assert_eq!(parent.to_value(), GOOD);
        assert_eq!(parsed(&[]), Ok(None));
        let unknown_flags = GOOD.replace("-01", "-fe");
        assert_eq!(parsed(&[&unknown_flags]).unwrap().unwrap().flags, RANDOM);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for later in [
            GOOD.replace("00-4", "cc-4"),
            format!("{}-what", GOOD.replace("00-4", "cc-4")),
        ] {
            assert!(parsed(&[&later]).unwrap().is_some(), "{later}");
        }
    }

    #[test]
    fn what_is_malformed_is_said_to_be_so() {
        let upper = GOOD.to_ascii_uppercase();
        let longer = format!("{GOOD}-00");
        let later = format!("{}.what", GOOD.replace("00-4", "cc-4"));
        for line in [
            "",
            "00",
            &upper,
            &longer,
            &later,
            &GOOD.replace("00-4", "ff-4"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace('-', "_"),
            &GOOD.replace("4bf9", "4bg9"),
            &GOOD[..54],
        ] {
            assert_eq!(parsed(&[line]), Err(Malformed), "{line}");
        }
        assert_eq!(parsed(&[GOOD, GOOD]), Err(Malformed));
    }

    #[test]
    fn a_state_is_joined_or_discarded_as_a_whole() {
        let two = stated(&["congo=t61rcWkgMzE, ,rojo=00f0", "1a@b=x y"]);
        assert_eq!(two.as_deref(), Some("congo=t61rcWkgMzE,rojo=00f0,1a@b=x y"));
        assert_eq!(stated(&[]), None);
        assert_eq!(stated(&[" , "]), None);
        for bad in ["a", "A=b", "a=", "a=b=c", "a=b,c", "=b", "a=\u{e4}"] {
            assert_eq!(stated(&[bad]), None, "{bad}");
        }
        let many = |count| vec!["a=b"; count].join(",");
        assert!(stated(&[&many(32)]).is_some());
        assert_eq!(stated(&[&many(33)]), None);
        let long = format!("a={},b={}", "x".repeat(250), "y".repeat(257));
        assert_eq!(stated(&[&long]), None);
    }
}
