//! The span of every word, printed as ARCHITECTURE.md shows it.

use std::fmt::Write;
use std::ops::Range;

use memoffset::span_of;

use super::{FileIdentity, Header};
use crate::sync::Writable;

type Checkpoint = super::Checkpoint<Writable>;
type Control = super::Control<Writable>;
type Lane = super::Lane<Writable>;
type Floor = super::control::Floor<Writable>;
type ReceiverLine = super::ReceiverLine<Writable>;
type RegionLine = super::control::RegionLine<Writable>;
type Row = super::Row<Writable>;
type Seat = super::Seat<Writable>;
type SenderLine = super::SenderLine<Writable>;

/// A structure, its length, and the span of each of its words.
struct Table {
    name: &'static str,
    len: usize,
    spans: Vec<(String, Range<usize>)>,
}

impl Table {
    fn new<T>(name: &'static str) -> Self {
        Self { name, len: size_of::<T>(), spans: Vec::new() }
    }

    fn word(mut self, name: &str, span: Range<usize>) -> Self {
        self.spans.push((name.into(), span));
        self
    }

    /// The words of a structure that begins at `at`.
    fn part(mut self, name: &str, at: usize, part: &Table) -> Self {
        self.spans
            .extend(part.spans.iter().map(|(word, span)| (format!("{name}{word}"), span.start + at..span.end + at)));
        self
    }

    fn check(&self) {
        let mut end = 0;
        for (name, span) in &self.spans {
            assert!(span.start >= end, "{}: {name} overlaps the word before it", self.name);
            assert!(span.start % 4 == 0 && span.end <= self.len, "{}: {name} at {span:?}", self.name);
            end = span.end;
        }
    }

    /// The words in one line, from which byte on each lies.
    fn print(&self) -> String {
        let mut line = format!("| `{}`, {} bytes |", self.name, self.len);
        for (index, (name, span)) in self.spans.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let (start, len) = (span.start, span.len());
            let len = if len == 8 { String::new() } else { format!(" ({len})") };
            write!(line, "{separator} {start} `{name}`{len}").unwrap();
        }
        line + " |"
    }
}

macro_rules! table {
    ($name:ident: $($word:ident)*) => {
        Table::new::<$name>(stringify!($name))$(.word(stringify!($word), span_of!($name, $word)))*
    };
}

fn tables() -> Vec<Table> {
    let seat = table!(Seat: holder generation barrier died ended swept name);
    let receiver = table!(ReceiverLine: head reported lent tally);
    let checkpoint = table!(Checkpoint: position records);
    let sender = table!(SenderLine: latest batch turn);
    let region = table!(RegionLine: flags patrol);
    let floor = table!(Floor: floor records);
    let file = table!(FileIdentity: inode born subvolume);
    let mut sender_line = sender;
    for at in 0..2 {
        let start = span_of!(SenderLine, checkpoints).start + at * checkpoint.len;
        sender_line = sender_line.part(&format!("checkpoints[{at}]."), start, &checkpoint);
    }
    let control = Table::new::<Control>("Control")
        .part("receiver.", span_of!(Control, receiver).start, &seat)
        .part("", span_of!(Control, region).start, &region)
        .word("data_wait", span_of!(Control, data_wait).start..span_of!(Control, data_wait).start + 4)
        .word("space_wait", span_of!(Control, space_wait).start..span_of!(Control, space_wait).start + 4)
        .word("tail", span_of!(Control, tail).start..span_of!(Control, tail).start + 8)
        .word("late", span_of!(Control, late).start..span_of!(Control, late).start + 8)
        .word("floor", span_of!(Control, floor).start..span_of!(Control, floor).start + 8)
        .word("floors", span_of!(Control, floors))
        .word("summary", span_of!(Control, summary).start..span_of!(Control, summary).start + 128);
    assert_eq!(span_of!(Control, floors).len(), 16 * floor.len);
    floor.check();
    let lane = Table::new::<Lane>("Lane")
        .part("sender.", span_of!(Lane, sender).start, &seat)
        .part("", span_of!(Lane, receiver_line).start, &receiver)
        .part("", span_of!(Lane, sender_line).start, &sender_line)
        .word("data_wait", span_of!(Lane, data_wait).start..span_of!(Lane, data_wait).start + 4)
        .word("space_wait", span_of!(Lane, space_wait).start..span_of!(Lane, space_wait).start + 4);
    let row = Table::new::<Row>("Row")
        .part("seat.", span_of!(Row, seat).start, &seat)
        .word("cursor", span_of!(Row, cursor))
        .word("wait", span_of!(Row, wait));
    let header =
        table!(Header: magic endian version word_bits kind padding page_size region_len lanes rows lanes_offset
        rows_offset data_offset data_len capacity stride type_size type_align type_name schema_hash schema_len mode
        deliveries origin boot id)
        .part("file.", span_of!(Header, file).start, &file)
        .word("reserved", span_of!(Header, reserved))
        .word("checksum", span_of!(Header, checksum));
    vec![header, control, lane, row]
}

/// On a processor whose cache lines come in other pairs, the table is another one.
#[test]
fn no_two_words_overlap_and_the_map_shows_where_each_lies() {
    let tables = tables();
    tables.iter().for_each(Table::check);
    let printed: Vec<String> = tables.iter().map(Table::print).collect();
    println!("{}", printed.join("\n"));
    let map = include_str!("../../ARCHITECTURE.md");
    for line in printed.iter().filter(|_| super::LINE == 128) {
        assert!(map.contains(line), "ARCHITECTURE.md lacks this line:\n{line}");
    }
}
