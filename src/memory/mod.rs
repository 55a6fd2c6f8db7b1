//! Checked views of shared memory: structures of atomics, and the data area as 8-byte words.
//!
//! This is the only door from the protocols to shared memory. No method hands out a reference to a payload byte. Every
//! offset is checked against a length that was fixed when the view was made, so the protocols above are safe code
//! whatever a peer writes.
//!
//! Whether a view may store is a type: a view of memory that may be mapped read-only ([`ReadOnly`]) has no word that can
//! be stored to, and no copy into the region.
//!
//! # Two addresses of one word
//!
//! A record ring has its data mapped twice in a row, so one of its words has two addresses. The abstract machine knows
//! no such thing. It is right all the same, by three facts. The words are never behind a reference to plain data, so the
//! compiler may conclude nothing from two addresses that differ. They are accessed by atomics and by assembly, which
//! the compiler may neither leave out nor merge with accesses through another address; where one endpoint stores through
//! one address what it loads, or its successor loads, through the other (a header, the zero behind a record), the load
//! is an atomic or assembly, so the compiler may not answer it from what it knows of other addresses. And the processor
//! keeps its caches coherent by physical line: on x86-64, addresses that map one page are one location, and a processor
//! sees its own stores to it in order. So the orderings hold between two addresses as they hold between two processes,
//! each of which has an address of its own as well.
//!
//! # Invariants that `unsafe` blocks cite
//!
//! - **W1** A view's address is aligned and mapped readable for its whole length, which fits an `isize`.
//! - **W2** The mapping lives as long as the view.
//! - **W3** The mapping is writable, or the view's words are [`ReadOnly`].
//! - **W4** No reference exists to any payload.
//! - **W5** A slice lies inside its area. **W6**, **W7** The cells, or the slots, all lie inside their area.
//! - **W8** Only initialised bytes are written to private memory that must be initialised.
//!
//! Under loom the views lie on the heap and each of their words is loom's, so that a torn copy is seen.
//!
//! [`ReadOnly`]: crate::sync::ReadOnly

mod area;
#[cfg(all(target_arch = "x86_64", not(loom), not(ringway_tsan), not(ringway_portable)))]
#[path = "by_assembly.rs"]
mod by;
#[cfg(any(loom, ringway_tsan, ringway_portable, not(target_arch = "x86_64")))]
#[path = "by_words.rs"]
mod by;
mod cells;
#[cfg(all(target_arch = "x86_64", not(loom), not(ringway_tsan), not(ringway_portable)))]
mod copy;
#[cfg(all(target_arch = "x86_64", not(loom), not(ringway_tsan), not(ringway_portable)))]
mod copy_large;
mod slice;
mod slots;
#[cfg(test)]
pub(crate) mod steps;
mod view;

pub(crate) use area::WordArea;
pub(crate) use cells::{CellArray, CellOf, CellShape, DynamicCell};
pub(crate) use slice::{Torn, WordSlice};
pub(crate) use slots::{Dynamic, Of, Slots, Stride};
pub(crate) use view::{Keep, View};
