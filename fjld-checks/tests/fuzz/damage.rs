//! How good files are damaged: bytes, words and lines at a time, and by what has broken readers before.

use fjld_core::rng::Generator;
use rand::RngExt;

/// What a file consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of words and numbers.
    Text,
    /// Magic, version, length of the header, header, numbers.
    Npy,
    /// Length of the header, header, numbers.
    Safetensors,
}

/// The longest file that is made by damaging.
const LONGEST: usize = 64 << 10;

/// Words to stand in for numbers, names and values.
const WORDS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "0.5",
    "1e-320",
    "5e-324",
    "1e308",
    "-1e308",
    "1e309",
    "nan",
    "inf",
    "-inf",
    "NaN",
    "Infinity",
    "null",
    "true",
    "[]",
    "{}",
    "[[]]",
    "\"\"",
    "\"../../x\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\u{e9}\u{1f600}\u{202e}\"",
    "\"\\n\\r\\u001b[2J\"",
    "255",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "1152921504606846976",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "0x10",
    "1_000",
    "07",
    "1979-05-27T07:32:00Z",
    "'''",
    "\"\"\"",
    "<script>",
    "|",
    "`",
    "(1152921504606846976, 1152921504606846976)",
    "(4294967296, 4294967296)",
    "(0, 1152921504606846976)",
    "(,)",
    "()",
    "'>f8'",
    "'<f2'",
    "'|O'",
    "\"F8_E4M3\"",
    "\"I64\"",
    "[0,18446744073709551615]",
    "[18446744073709551615,0]",
    "[4611686018427387904,4]",
];

/// Numbers at the ends of what numbers can be, and ordinary ones.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "10",
    "64",
    "1000",
    "0.5",
    "1.0",
    "1e-9",
    "5e-324",
    "1e-308",
    "1e-16",
    "1e16",
    "1e300",
    "1.7976931348623157e308",
    "255",
    "65536",
    "4294967296",
    "9007199254740993",
    "1152921504606846976",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
];

/// Texts that break out of names, lines, pages and tables.
const TEXTS: &[&str] = &[
    "",
    "a",
    "../x",
    "/",
    ".",
    "\u{e9}\u{1f600}",
    "\\u0000",
    "\\n",
    "\\u001b[2J",
    "\\\\",
    "<script>",
    "</td>|`",
    "{{ x }}",
    "nan",
    "quick",
    "full",
    "digits",
    "violated",
    "holds",
    "refuted",
    "verified",
    "example",
    "token",
];

/// Bytes that headers are made of, and some that they are not.
const BYTES: &[u8] = b"0123456789{}[]()'\",:<>f=#\\\n\r\t .-+eE_\0\x01\x7f\x80\xc3\xe2\xf0\xff";

/// One damaged file in the making.
pub struct Damage<'a> {
    generator: &'a mut Generator,
    pool: &'a [Vec<u8>],
    bytes: Vec<u8>,
    form: Form,
}

impl<'a> Damage<'a> {
    /// Of the file number `of` among those there are.
    pub fn new(generator: &'a mut Generator, pool: &'a [Vec<u8>], of: usize, form: Form) -> Self {
        Self {
            generator,
            pool,
            bytes: pool[of].clone(),
            form,
        }
    }

    /// With one damage every other time, and seldom with more than a few; every other time with the lengths that its header states put right
    /// again: what is little damaged is read farther.
    pub fn done(mut self) -> Vec<u8> {
        loop {
            match self.generator.random_range(0..20) {
                0 => self.byte(),
                1 => self.insert_byte(),
                2 => self.cut(),
                3 => self.truncate(),
                4 => self.repeat(),
                5 => self.splice(),
                6 => self.drop_line(),
                7 => self.repeat_line(),
                8 => self.nest(),
                9 | 10 => self.word(),
                11..=16 => self.number(),
                _ => self.quoted(),
            }
            self.bytes.truncate(LONGEST);
            if self.generator.random() {
                break;
            }
        }
        if self.generator.random() {
            self.put_lengths_right();
        }
        self.bytes
    }

    /// A place in the file, or just behind it.
    fn place(&mut self) -> usize {
        // headers are short and in front
        let end = match self.generator.random_range(0..3) {
            0 => self.bytes.len().min(200),
            _ => self.bytes.len(),
        };
        self.generator.random_range(0..=end)
    }

    fn stretch(&mut self) -> std::ops::Range<usize> {
        let start = self.place();
        let longest = match self.generator.random_range(0..4) {
            0 => self.bytes.len(),
            _ => 16,
        };
        let length = self.generator.random_range(0..=longest);
        start..(start + length).min(self.bytes.len())
    }

    fn any_byte(&mut self) -> u8 {
        match self.generator.random() {
            true => self.generator.random(),
            false => BYTES[self.generator.random_range(0..BYTES.len())],
        }
    }

    fn byte(&mut self) {
        let (at, byte) = (self.place(), self.any_byte());
        if let Some(old) = self.bytes.get_mut(at) {
            *old = byte;
        }
    }

    fn insert_byte(&mut self) {
        let (at, byte) = (self.place(), self.any_byte());
        self.bytes.insert(at, byte);
    }

    fn cut(&mut self) {
        let stretch = self.stretch();
        self.bytes.drain(stretch);
    }

    fn truncate(&mut self) {
        let at = self.place();
        self.bytes.truncate(at);
    }

    fn repeat(&mut self) {
        let stretch = self.stretch();
        let copy = self.bytes[stretch.clone()].to_vec();
        let times = self.generator.random_range(1..4);
        let at = stretch.end;
        self.bytes.splice(at..at, copy.repeat(times));
    }

    fn splice(&mut self) {
        let other = &self.pool[self.generator.random_range(0..self.pool.len())];
        let from = self.generator.random_range(0..=other.len());
        let to = self.generator.random_range(from..=other.len());
        let part = other[from..to].to_vec();
        let at = self.place();
        self.bytes.splice(at..at, part);
    }

    /// The line around a place, with its end.
    fn line(&mut self) -> std::ops::Range<usize> {
        let at = self.place();
        let before = self.bytes[..at].iter().rposition(|&b| b == b'\n');
        let after = self.bytes[at..].iter().position(|&b| b == b'\n');
        before.map_or(0, |i| i + 1)..after.map_or(self.bytes.len(), |i| at + i + 1)
    }

    fn drop_line(&mut self) {
        let line = self.line();
        self.bytes.drain(line);
    }

    fn repeat_line(&mut self) {
        let line = self.line();
        let copy = self.bytes[line].to_vec();
        let to = self.line().start;
        self.bytes.splice(to..to, copy);
    }

    /// Brackets in brackets, at most as deep as a stack can not hold.
    fn nest(&mut self) {
        let depth = 1 << self.generator.random_range(0..15);
        let opening = ["[", "{", "(", "{\"a\":", "[[", "a.", "[a."];
        let opening = opening[self.generator.random_range(0..opening.len())];
        let at = self.place();
        self.bytes
            .splice(at..at, opening.repeat(depth).into_bytes());
    }

    /// A number, a name or a text gives way to another word.
    fn word(&mut self) {
        let at = self.place();
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || b".+-_\"'".contains(b);
        let start = at + self.bytes[at..].iter().position(is_word).unwrap_or(0);
        let length = self.bytes[start..].iter().position(|b| !is_word(b));
        let end = length.map_or(self.bytes.len(), |length| start + length);
        let word = WORDS[self.generator.random_range(0..WORDS.len())];
        self.bytes.splice(start..end, word.bytes());
    }

    /// A number gives way to another one, so that the file is still of its form.
    fn number(&mut self) {
        let at = self.place();
        let is_digit = |b: &u8| b.is_ascii_digit();
        let Some(start) = self.bytes[at..].iter().position(is_digit) else {
            return;
        };
        let start = at + start;
        let is_number = |b: &u8| b.is_ascii_digit() || b".eE+-".contains(b);
        let length = self.bytes[start..].iter().position(|b| !is_number(b));
        let end = length.map_or(self.bytes.len(), |length| start + length);
        let number = NUMBERS[self.generator.random_range(0..NUMBERS.len())];
        self.bytes.splice(start..end, number.bytes());
    }

    /// A text between quotation marks gives way to another one, or to one of the same file.
    fn quoted(&mut self) {
        let Some(stretch) = self.quotation() else {
            return;
        };
        let other = self.quotation().map(|other| self.bytes[other].to_vec());
        let text = match (self.generator.random(), other) {
            (true, Some(other)) => other,
            _ => TEXTS[self.generator.random_range(0..TEXTS.len())].into(),
        };
        self.bytes.splice(stretch, text);
    }

    /// What stands between two quotation marks.
    fn quotation(&mut self) -> Option<std::ops::Range<usize>> {
        let at = self.place();
        let start = at + 1 + self.bytes[at..].iter().position(|&b| b == b'"')?;
        let length = self.bytes[start..].iter().position(|&b| b == b'"')?;
        Some(start..start + length)
    }

    fn put_lengths_right(&mut self) {
        match self.form {
            Form::Text => {}
            Form::Npy => {
                let end = self.bytes.iter().position(|&b| b == b'\n');
                let header = end.map_or(0, |end| (end + 1).saturating_sub(10));
                if let Some(length) = self.bytes.get_mut(8..10) {
                    length.copy_from_slice(&(header as u16).to_le_bytes());
                }
            }
            Form::Safetensors => {
                let end = self.bytes.iter().rposition(|&b| b == b'}');
                let header = end.map_or(0, |end| (end + 1).saturating_sub(8));
                if let Some(length) = self.bytes.get_mut(..8) {
                    length.copy_from_slice(&(header as u64).to_le_bytes());
                }
            }
        }
    }
}
