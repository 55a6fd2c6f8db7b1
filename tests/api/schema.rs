//! What a region says of its type: the text of the schema and its hash, and who is refused for it.

use std::num::{NonZeroU32, Wrapping};
use std::path::Path;

use ringway::zerocopy::byteorder::{BigEndian, LittleEndian, U32};
use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, Unalign};
use ringway::{FieldDifference, Message, Opaque, Reason, Report, Schema, seqlock, spsc};

/// The types of docs/schema.md.
mod documented {
    #[ringway::message]
    #[repr(C)]
    pub struct Tick {
        pub instrument: u64,
        pub bid: f64,
        pub ask: f64,
    }

    #[ringway::message]
    #[repr(C)]
    pub struct Leg {
        pub instrument: u32,
        pub amount: i32,
    }

    #[ringway::message]
    #[repr(C)]
    pub struct Order {
        pub price: Price,
        pub legs: [Leg; 2],
        pub kind: u8,
        pub gap: [u8; 7],
    }

    #[ringway::message]
    #[repr(transparent)]
    pub struct Price(pub i64);

    #[ringway::message]
    #[repr(C)]
    pub struct Pair(pub u16, pub u16);

    #[ringway::message]
    #[repr(C)]
    pub struct Größe {
        pub höhe: f32,
    }

    #[ringway::message]
    #[repr(C)]
    pub struct Empty {}
}
use documented::{Empty, Größe, Leg, Order, Pair, Price, Tick};

/// The vectors in docs/schema.md: the name of a type, the text, the hash.
fn vectors() -> Vec<(&'static str, &'static str, u64)> {
    let rows = include_str!("../../docs/schema.md").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('`').step_by(2);
        let (name, text, hash) = (cells.next()?, cells.next()?, cells.next()?);
        Some((name, text, u64::from_str_radix(hash.strip_prefix("0x")?, 16).ok()?))
    });
    rows.collect()
}

#[test]
fn the_documented_vectors_hold() {
    let mut vectors = vectors().into_iter();
    let mut check = |name: &str, schema: Schema| {
        let vector = vectors.next().expect("a vector");
        let hash = schema.hash().expect("a type that is described");
        println!("| `{name}` | `{}` | `{hash:#018x}` |", schema.text().unwrap());
        assert_eq!(vector, (name, schema.text().unwrap(), hash));
    };
    check("u8", Schema::of::<u8>());
    check("u64", Schema::of::<u64>());
    check("usize", Schema::of::<usize>());
    check("i128", Schema::of::<i128>());
    check("f64", Schema::of::<f64>());
    check("[u8; 16]", Schema::of::<[u8; 16]>());
    check("[[f32; 3]; 4]", Schema::of::<[[f32; 3]; 4]>());
    check("Wrapping<u32>", Schema::of::<Wrapping<u32>>());
    check("Option<NonZeroU32>", Schema::of::<Option<NonZeroU32>>());
    check("U32<BigEndian>", Schema::of::<U32<BigEndian>>());
    check("U32<LittleEndian>", Schema::of::<U32<LittleEndian>>());
    check("Tick", Schema::of::<Tick>());
    check("Leg", Schema::of::<Leg>());
    check("Price", Schema::of::<Price>());
    check("Order", Schema::of::<Order>());
    check("Pair", Schema::of::<Pair>());
    check("Größe", Schema::of::<Größe>());
    check("Empty", Schema::of::<Empty>());
    assert_eq!(vectors.next(), None);
}

/// The hash is what the documentation says, reckoned anew.
#[test]
fn the_documented_hash_is_fnv() {
    for (_, text, hash) in vectors() {
        assert_eq!(crate::common::header::fnv(text.as_bytes().iter()), hash);
    }
}

/// Generic, with a parameter that no field holds, and a name that is a keyword.
#[ringway::message]
#[derive(Clone, Copy)]
#[repr(C)]
struct Window<T, const N: usize> {
    r#type: T,
    others: [T; N],
}

#[ringway::message]
#[repr(transparent)]
struct Id<T> {
    number: u64,
    of: std::marker::PhantomData<T>,
}

#[ringway::message]
#[repr(C, packed)]
struct Packed {
    side: u8,
    price: Unalign<u64>,
    amount: u32,
}

/// Has no schema: its implementation describes nothing.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct ByHand(u64);
impl Message for ByHand {}

#[test]
fn every_kind_of_type_is_described() {
    let text = |schema: Schema| schema.text().unwrap().to_owned();
    assert_eq!(text(Schema::of::<Window<f32, 15>>()), "{type:f32@0,others:[f32;15]@4}");
    assert_eq!(text(Schema::of::<Window<Leg, 1>>()).matches("instrument:u32@0").count(), 2);
    assert_eq!(text(Schema::of::<Id<String>>()), "u64");
    assert_eq!(text(Schema::of::<Packed>()), "{side:u8@0,price:u64@1,amount:u32@9}");
    assert_eq!(text(Schema::of::<[(); 3]>()), "[{};3]");
    for unknown in [Schema::of::<ByHand>(), Schema::of::<Opaque<u64>>(), Schema::of::<Window<ByHand, 2>>()] {
        assert_eq!((unknown.text(), unknown.hash()), (None, None));
    }
}

#[test]
#[should_panic(expected = "is no name of a field")]
fn a_name_that_would_end_the_field_is_refused() {
    struct Forged;
    impl Forged {
        fn describe(schema: &mut Schema) {
            schema.structure(|fields| fields.field::<u64>("a:u8@0,b", 0));
        }
    }
    let mut schema = Schema::of::<u8>();
    Forged::describe(&mut schema);
}

/// Another `Tick`, of the same name and size.
mod other {
    #[ringway::message]
    #[repr(C)]
    pub struct Tick {
        pub instrument: u64,
        pub bid: f64,
        pub ask: u64,
    }
}

fn refusal(path: &Path) -> (String, FieldDifference) {
    let error = spsc::Channel::<other::Tick>::open(path).expect_err("another type");
    let Reason::Type { found, expected, field: Some(field) } = error.reason() else { panic!("{error}") };
    assert_eq!(
        (found.schema_hash(), expected.schema_hash()),
        (Schema::of::<Tick>().hash(), Schema::of::<other::Tick>().hash())
    );
    (error.to_string(), FieldDifference::clone(field))
}

#[test]
fn a_type_of_the_same_name_and_size_with_other_fields_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks");
    let ticks = spsc::Channel::<Tick>::create(&path, 4).unwrap();
    let (text, field) = refusal(&path);
    let said = "it carries Tick (24 bytes, aligned to 8), but with other fields than expected: field `ask` is u64 at \
                byte 16 here, f64 at byte 16 in the region; use the same type on both sides;";
    assert!(text.contains(said), "{text}");
    let [found, expected] = [field.found, field.expected].map(Option::unwrap);
    assert_eq!((found.name.as_str(), found.of_type.as_str(), found.offset), ("ask", "f64", 16));
    assert_eq!((expected.name.as_str(), expected.of_type.as_str(), expected.offset), ("ask", "u64", 16));
    // Every way in compares the fields.
    let fd = ticks.region().inheritable_fd().unwrap();
    drop(ticks);
    let options = spsc::Channel::<other::Tick>::options();
    for refused in [options.open_snapshot(&path).err(), options.open_or_create(&path).err(), options.adopt(&path).err()]
    {
        assert!(matches!(refused.expect("another type").reason(), Reason::Type { field: Some(_), .. }));
    }
    drop(fd);
    let memfd = seqlock::Channel::<Tick>::options().memfd().unwrap();
    let fd = || memfd.region().inheritable_fd().unwrap();
    let refused = seqlock::Channel::<other::Tick>::options().from_fd_read_only(fd()).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Type { field: Some(_), .. }), "{refused}");
    seqlock::Channel::<Tick>::from_fd(fd()).unwrap();
    spsc::Channel::<Tick>::open(&path).unwrap();
}

/// Also of the same name, but larger.
#[test]
fn a_field_too_many_is_named() {
    mod longer {
        #[ringway::message]
        #[repr(C)]
        pub struct Tick {
            pub instrument: u64,
            pub bid: f64,
            pub ask: f64,
            pub at_ns: u64,
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks");
    spsc::Channel::<Tick>::create(&path, 4).unwrap();
    let text = spsc::Channel::<longer::Tick>::open(&path).unwrap_err().to_string();
    let said = "carries Tick (24 bytes, aligned to 8), expected Tick (32 bytes, aligned to 8): field `at_ns` (u64 at \
                byte 24) is here, not in the region; use the same type on both sides, or set type_name";
    assert!(text.contains(said), "{text}");
}

#[test]
fn what_is_not_described_is_compared_by_name_and_size_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    spsc::Channel::<Tick>::create(path("described"), 4).unwrap();
    spsc::Channel::<[Opaque<u64>; 3]>::options().type_name("Tick").open(path("described")).unwrap();
    spsc::raw::Channel::options().type_layout(24, 8).type_name("Tick").open(path("described")).unwrap();
    spsc::Channel::<[ByHand; 3]>::options().type_name("Tick").capacity(4).create(path("not")).unwrap();
    spsc::Channel::<Tick>::open(path("not")).unwrap();
    assert_eq!(spsc::raw::Channel::open(path("not")).unwrap().carries().schema_hash(), None);
    let refused = spsc::Channel::<Opaque<Tick>>::open(path("not")).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Type { field: None, .. }), "{refused}");
}

#[test]
fn raw_channels_and_reports_show_the_schema() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let text = "{instrument:u64@0,bid:f64@8,ask:f64@16}";
    let ring = spsc::Channel::<Tick>::create(path("ring"), 4).unwrap();
    assert_eq!(spsc::raw::Channel::open(path("ring")).unwrap().carries().schema(), Some(text));
    let any = spsc::raw::Channel::options().open_snapshot(path("ring")).unwrap();
    assert_eq!((any.carries().schema(), any.snapshot().unwrap().carries().schema()), (Some(text), Some(text)));
    ring.sender().unwrap().send(&Tick { instrument: 1, bid: 2.0, ask: 3.0 }).unwrap();
    seqlock::Channel::<Tick>::create(path("value")).unwrap();
    let any = seqlock::raw::Channel::options().open_read_only(path("value")).unwrap();
    assert_eq!(any.carries().schema(), Some(text));
    let report = Report::open(path("ring")).unwrap();
    assert_eq!((report.carries.schema(), report.carries.schema_hash()), (Some(text), Schema::of::<Tick>().hash()));
    assert!(report.to_string().contains(&format!("a message is {text}\n")), "{report}");

    // A copy that is adopted keeps it.
    std::fs::copy(path("ring"), path("copy")).unwrap();
    assert_eq!(Report::open(path("copy")).unwrap().carries.schema(), Some(text));
    let adopted = spsc::raw::Channel::options().adopt(path("copy")).unwrap();
    assert_eq!(adopted.carries().schema(), Some(text));
    let tick = spsc::Channel::<Tick>::open(path("copy")).unwrap().receiver().unwrap().recv().unwrap();
    assert_eq!(tick.ask, 3.0);
}

/// Of a longer text there is only the hash.
#[test]
fn of_a_text_longer_than_the_region_holds_the_hash_is_compared() {
    type Wide<T> = Window<Window<Window<Window<Window<T, 1>, 1>, 1>, 1>, 1>;
    type Wider<T> = Window<Window<Window<Wide<T>, 1>, 1>, 1>;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wide");
    let schema = Schema::of::<Wider<u64>>();
    assert!(schema.text().unwrap().len() > 3072);
    spsc::Channel::<Wider<u64>>::options().type_name("wide").capacity(2).create(&path).unwrap();
    let carries = spsc::raw::Channel::open(&path).unwrap().carries();
    assert_eq!((carries.schema(), carries.schema_hash()), (None, schema.hash()));
    spsc::Channel::<Wider<u64>>::options().type_name("wide").open(&path).unwrap();
    let refused = spsc::Channel::<Wider<f64>>::options().type_name("wide").open(&path).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Type { field: None, .. }), "{refused}");
    assert!(
        refused.to_string().contains("but with other fields than expected, as the hashes of their schemas say;"),
        "{refused}"
    );
}

/// What a user of the crate under another name writes.
mod renamed {
    pub use ringway as channels;

    #[channels::message(crate = "crate::schema::renamed::channels")]
    #[repr(C)]
    pub struct Sample {
        pub at: u64,
    }
}

/// What the item derives itself is left to it.
#[ringway::message]
#[derive(FromBytes, ringway::Message, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Partly {
    a: u16,
    b: u16,
}

#[test]
fn the_attribute_adds_only_what_is_missing() {
    assert_eq!(Schema::of::<renamed::Sample>().text(), Some("{at:u64@0}"));
    assert_eq!(Schema::of::<Partly>().text(), Some("{a:u16@0,b:u16@2}"));
    assert_eq!(Partly { a: 1, b: 2 }.as_bytes().len(), 4);
}
