//! Finds the field in which two schemas differ.
//!
//! The texts are the same up to some byte, so the fields around that byte have the same names in both. It is enough to
//! remember where each of them began. A text from a region may be anything: what does not fit the grammar is not a
//! field, and no text is looked at more than a few times.

use crate::error::{FieldDifference, SchemaField};

/// The first field in which two different texts differ: as it is in `found`, and as it is in `expected`.
pub(crate) fn first_difference(found: &str, expected: &str) -> FieldDifference {
    let same = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
    let place = Place::at(found.as_bytes(), same, [found, expected].map(|text| text.as_bytes().get(same).copied()));
    FieldDifference { found: place.field(found), expected: place.field(expected) }
}

/// The place of a field in a text.
struct Place {
    /// The names of the structs' fields around it, each with a dot behind it.
    path: String,
    /// Where it begins. Both texts are the same up to there.
    start: usize,
}

impl Place {
    /// The place of the field around the byte `end`, where `next` follows in the two texts.
    fn at(text: &[u8], end: usize, next: [Option<u8>; 2]) -> Self {
        // Where each field around the byte begins; for an array, nothing.
        let mut open: Vec<Option<usize>> = Vec::new();
        for (at, byte) in text[..end].iter().enumerate() {
            match byte {
                b'{' => open.push(Some(at + 1)),
                b'[' => open.push(None),
                b'}' | b']' => drop(open.pop()),
                b',' => open.last_mut().into_iter().for_each(|start| *start = Some(at + 1)),
                _ => {}
            }
        }
        // An array inside the field is a part of its type.
        while let Some(None) = open.last() {
            open.pop();
        }
        let start = match open.pop() {
            // The field is whole in both texts, and only one of them goes on.
            Some(Some(start)) if start < end && next.iter().all(|next| matches!(next, Some(b',' | b'}'))) => end,
            Some(Some(start)) => start,
            _ => 0,
        };
        let mut path = String::new();
        let mut around = open.into_iter().peekable();
        while let Some(start) = around.next() {
            let Some(start) = start else { continue };
            path.push_str(&name(text, start));
            while around.next_if(Option::is_none).is_some() {
                path.push_str("[]");
            }
            path.push('.');
        }
        Self { path, start }
    }

    /// The field that begins here in a text; `None` if there is none.
    fn field(&self, text: &str) -> Option<SchemaField> {
        let rest = text.get(self.start..)?;
        let rest = rest.strip_prefix(',').unwrap_or(rest);
        let len = len_of_entry(rest)?;
        let entry = &rest[..len];
        if self.start == 0 {
            return Some(SchemaField { name: String::new(), of_type: entry.into(), offset: 0 });
        }
        let (name, described) = entry.split_once(':')?;
        let (of_type, offset) = described.rsplit_once('@')?;
        let name = format!("{}{name}", self.path);
        Some(SchemaField { name, of_type: of_type.into(), offset: offset.parse().ok()? })
    }
}

/// The name that begins at `start`: letters, digits and `_`.
fn name(text: &[u8], start: usize) -> String {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    let len = text[start..].iter().take_while(|byte| is_word(byte)).count();
    String::from_utf8_lossy(&text[start..start + len]).into_owned()
}

/// How many bytes belong to the field or type at the front: up to the comma or bracket that ends it.
fn len_of_entry(text: &str) -> Option<usize> {
    let mut depth = 0u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' | b'[' => depth += 1,
            b',' if depth == 0 => return Some(at),
            b'}' | b']' if depth == 0 => return (at > 0).then_some(at),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    (depth == 0 && !text.is_empty()).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_that_differs_is_named() {
        for (here, there, said) in [
            ("u64", "i64", "it is u64 here, i64 in the region"),
            ("[u8;8]", "[u8;16]", "it is [u8;8] here, [u8;16] in the region"),
            ("u64", "{a:u64@0}", "it is u64 here, {a:u64@0} in the region"),
            (
                "{a:u64@0}",
                "{b:u64@0}",
                "field `a` (u64 at byte 0) stands here where the region has `b` (u64 at byte 0)",
            ),
            ("{a:u64@0}", "{a:f64@0}", "field `a` is u64 at byte 0 here, f64 at byte 0 in the region"),
            ("{a:u8@0,b:u8@1}", "{a:u8@0,b:u8@16}", "field `b` is u8 at byte 1 here, u8 at byte 16 in the region"),
            ("{a:u8@1,b:u8@2}", "{a:u8@16,b:u8@2}", "field `a` is u8 at byte 1 here, u8 at byte 16 in the region"),
            ("{a:u8@0}", "{a:u8@0,b:u8@1}", "field `b` (u8 at byte 1) is in the region, not here"),
            ("{a:u8@0,b:u8@1}", "{a:u8@0}", "field `b` (u8 at byte 1) is here, not in the region"),
            ("{a:u8@0}", "{}", "field `a` (u8 at byte 0) is here, not in the region"),
            (
                "{p:{x:f32@0,y:f32@4}@0}",
                "{p:{x:f32@0,y:u32@4}@0}",
                "field `p.y` is f32 at byte 4 here, u32 at byte 4 \
             in the region",
            ),
            ("{p:{x:f32@0}@0}", "{p:{x:f32@0,y:u32@4}@0}", "field `p.y` (u32 at byte 4) is in the region, not here"),
            ("{p:{x:f32@0}@0}", "{p:f32@0}", "field `p` is {x:f32@0} at byte 0 here, f32 at byte 0 in the region"),
            (
                "{i:u8@0,l:[{p:f64@0};4]@8}",
                "{i:u8@0,l:[{p:u64@0};4]@8}",
                "field `l[].p` is f64 at byte 0 here, u64 at \
             byte 0 in the region",
            ),
            (
                "{l:[[{p:u8@0};4];2]@0}",
                "{l:[[{q:u8@0};4];2]@0}",
                "field `l[][].p` (u8 at byte 0) stands here where the \
             region has `l[][].q` (u8 at byte 0)",
            ),
            (
                "{l:[{p:u8@0};4]@0}",
                "{l:[{p:u8@0};8]@0}",
                "field `l` is [{p:u8@0};4] at byte 0 here, [{p:u8@0};8] at byte \
             0 in the region",
            ),
            (
                "[{a:u8@0};2]",
                "[{b:u8@0};2]",
                "field `a` (u8 at byte 0) stands here where the region has `b` (u8 at byte \
             0)",
            ),
            (
                "{größe:u8@0}",
                "{größer:u8@0}",
                "field `größe` (u8 at byte 0) stands here where the region has `größer` \
             (u8 at byte 0)",
            ),
            ("{a:u8@0}", "{a:u8@0", "what the region says of its fields is no schema"),
        ] {
            assert_eq!(first_difference(there, here).to_string(), said);
        }
    }

    /// A text from a region may be anything of at most 3,072 bytes.
    #[test]
    fn garbage_is_compared_without_harm() {
        let good = "{a:u64@0,b:[{c:u8@0,d:[u8;7]@1};4]@8}";
        let alphabet: Vec<char> = "{}[]:;,@ab0é".chars().collect();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let kept = random(good.len());
            let garbage: String = (0..random(40)).map(|_| alphabet[random(alphabet.len())]).collect();
            let text = good[..kept].to_string() + &garbage;
            assert!(first_difference(&text, good).to_string().len() < 2000);
        }
        for unit in ["{", "[", "}", "]", ",", ":", "@", "{a", "{a:", "{a:[", "{a:[{", "é", "9"] {
            let text = unit.repeat(3072 / unit.len());
            assert!(first_difference(&text, good).to_string().len() < 2000, "{unit}");
            assert!(first_difference(&text, &(text.clone() + "x")).to_string().len() < 2000, "{unit}");
        }
    }
}
