//! Reads JSON straight into Python objects. Integers of any size stay exact.

use rustpython_vm::common::wtf8::{CodePoint, Wtf8Buf};
use rustpython_vm::function::KwArgs;
use rustpython_vm::{PyObjectRef, VirtualMachine};

/// As deep as results may be.
const DEEPEST: usize = 500;

/// Reads the positional arguments.
pub(crate) fn array(json: &str, vm: &VirtualMachine) -> Result<Vec<PyObjectRef>, String> {
    let mut reader = Reader::new(json, vm);
    let items = reader.items(1)?;
    reader.end()?;
    Ok(items)
}

/// Reads the keyword arguments.
pub(crate) fn object(json: &str, vm: &VirtualMachine) -> Result<KwArgs, String> {
    let mut reader = Reader::new(json, vm);
    let mut kwargs = Vec::new();
    reader.members(1, |key, value| {
        kwargs.push((key, value));
        Ok(())
    })?;
    reader.end()?;
    Ok(kwargs.into_iter().collect())
}

/// Reads any value.
pub(crate) fn value(json: &str, vm: &VirtualMachine) -> Result<PyObjectRef, String> {
    let mut reader = Reader::new(json, vm);
    let value = reader.value(1)?;
    reader.end()?;
    Ok(value)
}

struct Reader<'a> {
    vm: &'a VirtualMachine,
    json: &'a str,
    /// Of the next byte, always at a character's boundary.
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(json: &'a str, vm: &'a VirtualMachine) -> Self {
        Self { vm, json, at: 0 }
    }

    fn value(&mut self, depth: usize) -> Result<PyObjectRef, String> {
        let ctx = &self.vm.ctx;
        match self.peek() {
            Some(b'"') => {
                let string = self.string()?;
                Ok(ctx.new_str(string).into())
            }
            Some(b'[') => {
                let items = self.items(depth)?;
                Ok(ctx.new_list(items).into())
            }
            Some(b'{') => {
                let dict = ctx.new_dict();
                let vm = self.vm;
                self.members(depth, |key, value| {
                    dict.set_item(&*vm.ctx.new_str(key), value, vm)
                        .map_err(|_| "a key cannot be stored".to_owned())
                })?;
                Ok(dict.into())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.eat("null") => Ok(ctx.none()),
            _ if self.eat("true") => Ok(ctx.new_bool(true).into()),
            _ if self.eat("false") => Ok(ctx.new_bool(false).into()),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<PyObjectRef>, String> {
        self.open("[", depth)?;
        let mut items = Vec::new();
        if self.next_is("]") {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.next_is("]") {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    fn members(
        &mut self,
        depth: usize,
        mut member: impl FnMut(Wtf8Buf, PyObjectRef) -> Result<(), String>,
    ) -> Result<(), String> {
        self.open("{", depth)?;
        if self.next_is("}") {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key"));
            }
            let key = self.string()?;
            self.expect(":")?;
            let value = self.value(depth + 1)?;
            member(key, value)?;
            if self.next_is("}") {
                return Ok(());
            }
            self.expect(",")?;
        }
    }

    fn number(&mut self) -> Result<PyObjectRef, String> {
        let start = self.at;
        let rest = &self.json.as_bytes()[start..];
        let len = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let text = &self.json[start..start + len];
        self.at += len;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let well_formed = digits.starts_with(|c: char| c.is_ascii_digit())
            && (digits.len() == 1
                || !digits.starts_with('0')
                || !digits.as_bytes()[1].is_ascii_digit())
            && !digits.ends_with('.')
            && !digits.contains(".e")
            && !digits.contains(".E");
        let ctx = &self.vm.ctx;
        let number = if !well_formed {
            None
        } else if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            match text.parse::<i64>() {
                Ok(small) => Some(ctx.new_int(small).into()),
                Err(_) => big_int(text, self.vm),
            }
        } else {
            text.parse::<f64>().ok().map(|float| ctx.new_float(float).into())
        };
        number.ok_or_else(|| {
            self.at = start;
            self.unexpected("a number")
        })
    }

    fn string(&mut self) -> Result<Wtf8Buf, String> {
        self.expect("\"")?;
        let mut string = Wtf8Buf::new();
        loop {
            let rest = &self.json[self.at..];
            let Some(len) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') else {
                return Err("ends within a string".to_owned());
            };
            string.push_str(&rest[..len]);
            self.at += len;
            match rest.as_bytes()[len] {
                b'"' => {
                    self.at += 1;
                    return Ok(string);
                }
                b'\\' => {
                    self.at += 1;
                    self.escape(&mut string)?;
                }
                _ => return Err(self.unexpected("no control character")),
            }
        }
    }

    fn escape(&mut self, string: &mut Wtf8Buf) -> Result<(), String> {
        let plain = match self.json.as_bytes().get(self.at) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let unit = self.hex4()?;
                string.push(self.code_point(unit)?);
                return Ok(());
            }
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        string.push_char(plain);
        Ok(())
    }

    /// The code point that begins with this UTF-16 unit. A lone surrogate stays one,
    /// as in Python.
    fn code_point(&mut self, unit: u32) -> Result<CodePoint, String> {
        let mut point = unit;
        if (0xd800..0xdc00).contains(&unit) && self.json[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            } else {
                self.at = before;
            }
        }
        Ok(CodePoint::from_u32(point).expect("at most 0x10ffff"))
    }

    fn hex4(&mut self) -> Result<u32, String> {
        let digits = self.json.as_bytes().get(self.at..self.at + 4);
        let unit = digits.and_then(|digits| {
            digits
                .iter()
                .try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
        });
        match unit {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => Err(self.unexpected("four hexadecimal digits")),
        }
    }

    fn open(&mut self, bracket: &str, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("nested more than {DEEPEST} deep"));
        }
        self.expect(bracket)
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.json.as_bytes()[self.at..];
        let blank = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
        self.at += blank;
        Some(rest[blank])
    }

    fn eat(&mut self, word: &str) -> bool {
        let there = self.json[self.at..].starts_with(word);
        if there {
            self.at += word.len();
        }
        there
    }

    fn next_is(&mut self, mark: &str) -> bool {
        self.peek();
        self.eat(mark)
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.next_is(mark) { Ok(()) } else { Err(self.unexpected(mark)) }
    }

    fn end(&mut self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end")),
        }
    }

    fn unexpected(&self, wanted: &str) -> String {
        format!("not JSON: {wanted} expected at byte {}", self.at)
    }
}

fn big_int(text: &str, vm: &VirtualMachine) -> Option<PyObjectRef> {
    let int = text.parse::<malachite_bigint::BigInt>().ok()?;
    Some(vm.ctx.new_bigint(&int).into())
}
