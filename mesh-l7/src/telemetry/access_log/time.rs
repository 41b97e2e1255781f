//! Points in time as formats ask for them.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a point in time is written as: parts of `strftime`, with fractions of seconds. In UTC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct TimeFormat(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Literal(Box<str>),
    Year,
    /// The last two digits.
    ShortYear,
    Month,
    MonthName,
    Day,
    DayOfYear,
    Weekday,
    Hour,
    Minute,
    Second,
    /// Seconds since 1970.
    Epoch,
    /// Digits of the fraction of a second, 1..=9.
    Fraction(u8),
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl TimeFormat {
    /// `%Y-%m-%dT%H:%M:%S.%3fZ`, Envoy's default.
    pub(super) fn iso() -> Self {
        // Without unknown conversions it cannot fail.
        Self::parse("%Y-%m-%dT%H:%M:%S.%3fZ").unwrap_or(Self(Vec::new()))
    }

    /// Reads a format: `%Y %y %m %b %d %j %a %H %M %S %s %T %F %f %1f`..`%9f %E3S %z %Z %%`.
    /// An error is the place of a conversion that is none of these.
    pub(super) fn parse(text: &str) -> Result<Self, usize> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let (literal, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            push(&mut parts, literal);
            let place = text.len() - from.len();
            let conversion = from.strip_prefix('%').unwrap_or(from);
            rest = convert(conversion, &mut parts).ok_or(place)?;
        }
        push(&mut parts, rest);
        Ok(Self(parts))
    }

    pub(super) fn write(&self, time: SystemTime, to: &mut Vec<u8>) {
        // Times before 1970 do not occur; they are shown as 1970.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let date = Date::of(since.as_secs() / 86_400);
        for part in &self.0 {
            part.write(since, &date, to);
        }
    }
}

fn push(parts: &mut Vec<Part>, literal: &str) {
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
}

/// Adds what follows a `%`, and gives what is after it.
fn convert<'a>(text: &'a str, parts: &mut Vec<Part>) -> Option<&'a str> {
    let mut chars = text.chars();
    let one = match chars.next()? {
        'Y' => Part::Year,
        'y' => Part::ShortYear,
        'm' => Part::Month,
        'b' => Part::MonthName,
        'd' => Part::Day,
        'j' => Part::DayOfYear,
        'a' => Part::Weekday,
        'H' => Part::Hour,
        'M' => Part::Minute,
        'S' => Part::Second,
        's' => Part::Epoch,
        'f' => Part::Fraction(9),
        '%' => Part::Literal("%".into()),
        'z' => Part::Literal("+0000".into()),
        'Z' => Part::Literal("UTC".into()),
        'T' => {
            let colon = || Part::Literal(":".into());
            parts.extend([Part::Hour, colon(), Part::Minute, colon(), Part::Second]);
            return Some(chars.as_str());
        }
        'F' => {
            let dash = || Part::Literal("-".into());
            parts.extend([Part::Year, dash(), Part::Month, dash(), Part::Day]);
            return Some(chars.as_str());
        }
        'E' => {
            let digits = digits(chars.next()?)?;
            let rest = chars.as_str().strip_prefix('S')?;
            parts.extend([Part::Second, Part::Literal(".".into())]);
            parts.push(Part::Fraction(digits));
            return Some(rest);
        }
        digit => {
            let digits = digits(digit)?;
            let rest = chars.as_str().strip_prefix('f')?;
            parts.push(Part::Fraction(digits));
            return Some(rest);
        }
    };
    parts.push(one);
    Some(chars.as_str())
}

fn digits(digit: char) -> Option<u8> {
    let number = digit.to_digit(10).filter(|number| *number > 0)?;
    u8::try_from(number).ok()
}

impl Part {
    fn write(&self, since: Duration, date: &Date, to: &mut Vec<u8>) {
        let seconds = since.as_secs() % 86_400;
        // Writing to a Vec does not fail.
        let _ = match self {
            Self::Literal(text) => to.write_all(text.as_bytes()),
            Self::Year => write!(to, "{:04}", date.year),
            Self::ShortYear => write!(to, "{:02}", date.year % 100),
            Self::Month => write!(to, "{:02}", date.month),
            Self::MonthName => to.write_all(name(&MONTHS, date.month.saturating_sub(1))),
            Self::Day => write!(to, "{:02}", date.day),
            Self::DayOfYear => write!(to, "{:03}", date.day_of_year),
            Self::Weekday => to.write_all(name(&WEEKDAYS, since.as_secs() / 86_400 % 7)),
            Self::Hour => write!(to, "{:02}", seconds / 3600),
            Self::Minute => write!(to, "{:02}", seconds / 60 % 60),
            Self::Second => write!(to, "{:02}", seconds % 60),
            Self::Epoch => write!(to, "{}", since.as_secs()),
            Self::Fraction(digits) => {
                let width = usize::from(*digits);
                let drop = 10_u32.pow(9_u32.saturating_sub(u32::from(*digits)));
                write!(to, "{:0width$}", since.subsec_nanos() / drop)
            }
        };
    }
}

fn name(names: &[&'static str], at: u64) -> &'static [u8] {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    names.get(at).map_or(b"", |name| name.as_bytes())
}

/// A day of the Gregorian calendar.
struct Date {
    year: u64,
    month: u64,
    day: u64,
    day_of_year: u64,
}

impl Date {
    /// Days since 1970-01-01. Years are counted from March, so that a leap day is the last of its year.
    fn of(days: u64) -> Self {
        const DAYS_IN_400_YEARS: u64 = 146_097;
        // Days from 0000-03-01 to 1970-01-01.
        let days = days.saturating_add(719_468);
        let (cycle, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let from_march = day - (365 * year + year / 4 - year / 100);
        let month = (5 * from_march + 2) / 153;
        let day = from_march - (153 * month + 2) / 5 + 1;
        let year = cycle * 400 + year;
        let (year, month) = if month < 10 {
            (year, month + 3)
        } else {
            (year + 1, month - 9)
        };
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let day_of_year = if month > 2 {
            from_march + 60 + u64::from(leap)
        } else {
            // January and February end the year that began in March.
            from_march - 305
        };
        Self {
            year,
            month,
            day,
            day_of_year,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: &str, seconds: u64, nanos: u32) -> String {
        let mut text = Vec::new();
        let time = UNIX_EPOCH + Duration::new(seconds, nanos);
        TimeFormat::parse(format).unwrap().write(time, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn conversions_say_what_date_says() {
        // From `date --utc --date @<seconds> +<format>`.
        for (seconds, format, expected) in [
            (
                0,
                "%Y-%m-%d %H:%M:%S %j %a %b",
                "1970-01-01 00:00:00 001 Thu Jan",
            ),
            (951_782_399, "%F %T %j %a", "2000-02-28 23:59:59 059 Mon"),
            (951_782_400, "%F %j", "2000-02-29 060"),
            (951_868_800, "%F %j", "2000-03-01 061"),
            (1_735_689_599, "%F %T %j", "2024-12-31 23:59:59 366"),
            (
                1_787_392_800,
                "%y%m%d %s%% %z %Z %b",
                "260822 1787392800% +0000 UTC Aug",
            ),
            (4_107_542_400, "%F %j", "2100-03-01 060"),
        ] {
            assert_eq!(written(format, seconds, 0), expected, "{format}");
        }
    }

    #[test]
    fn fractions_are_cut_and_not_rounded() {
        for (format, expected) in [
            ("%f", "123456789"),
            ("%3f", "123"),
            ("%6f", "123456"),
            ("%9f", "123456789"),
            ("%E3S", "00.123"),
        ] {
            assert_eq!(written(format, 0, 123_456_789), expected, "{format}");
        }
        assert_eq!(written("%3f", 0, 7_000_000), "007");
    }

    #[test]
    fn an_unknown_conversion_is_found_at_its_place() {
        for (format, place) in [("%Y %Q", 3), ("%", 0), ("%0f", 0), ("%3", 0), ("a%E3", 1)] {
            assert_eq!(TimeFormat::parse(format), Err(place), "{format}");
        }
    }
}
