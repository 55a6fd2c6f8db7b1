//! The least of a ring of values: a slot holds the payload and, after it, the stamp that publishes it; the head is
//! on a line of its own, stored at every message and looked at only when the ring seems full.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use ringway::zerocopy::FromZeros;

use crate::channels::batches_in_place::{Used, made};
use crate::channels::spsc::BATCH;
use crate::line::{Line, Pair, Receiver, Result, Sender, number_of};
use crate::shared::{Padded, share_one, spin_until};

#[derive(FromZeros)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
pub struct SlotRing<const N: usize, const CAPACITY: usize> {
    slots: [Slot<N>; CAPACITY],
    head: Padded,
}

#[derive(FromZeros)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Slot<const N: usize> {
    payload: [AtomicU64; N],
    /// The position after this one's, once the message of that position is there.
    stamp: AtomicU64,
}

impl<const N: usize> Slot<N> {
    #[inline(always)]
    fn payload(&self) -> *mut [u64; N] {
        self.payload.as_ptr().cast_mut().cast()
    }
}

/// A ring of values of `N` words.
pub fn slot_ring<const N: usize, const CAPACITY: usize>() -> Result<&'static SlotRing<N, CAPACITY>> {
    share_one()
}

/// A slot ring, known to one of its sides.
pub struct SlotEnd<const N: usize, const CAPACITY: usize> {
    ring: &'static SlotRing<N, CAPACITY>,
    pos: u64,
    /// The head as the sender last saw it, and the capacity.
    limit: u64,
    value: Box<[u64; N]>,
}

impl<const N: usize, const CAPACITY: usize> SlotEnd<N, CAPACITY> {
    fn new(ring: &'static SlotRing<N, CAPACITY>) -> Self {
        Self { ring, pos: 0, limit: CAPACITY as u64, value: Box::new([0; N]) }
    }

    #[inline(always)]
    fn slot(&self) -> &'static Slot<N> {
        &self.ring.slots[self.pos as usize % CAPACITY]
    }

    #[inline(always)]
    fn send(&mut self, value: *const [u64; N]) {
        if self.pos == self.limit {
            self.wait_for_space();
        }
        let slot = self.slot();
        // SAFETY: the value is the caller's; the receiver has done with the slot, and looks at it next after the
        // stamp.
        unsafe { slot.payload().copy_from_nonoverlapping(value, 1) };
        self.pos += 1;
        slot.stamp.store(self.pos, Release);
    }

    #[cold]
    fn wait_for_space(&mut self) {
        spin_until(|| {
            self.limit = self.ring.head.0.load(Acquire) + CAPACITY as u64;
            self.pos < self.limit
        });
    }

    #[inline(always)]
    fn receive(&mut self) -> [u64; N] {
        let slot = self.slot();
        self.pos += 1;
        spin_until(|| slot.stamp.load(Acquire) == self.pos);
        // SAFETY: the stamp says that the payload is there, and the sender waits for the head.
        unsafe { slot.payload().read() }
    }
}

impl<const N: usize, const CAPACITY: usize> Line for &'static SlotRing<N, CAPACITY> {
    type Sender = SlotEnd<N, CAPACITY>;
    type Receiver = SlotEnd<N, CAPACITY>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(SlotEnd::new(self))
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(SlotEnd::new(self))
    }
}

impl<const N: usize, const CAPACITY: usize> Pair for &'static SlotRing<N, CAPACITY> {
    type Sender = SlotEnd<N, CAPACITY>;
    type Receiver = SlotEnd<N, CAPACITY>;

    fn pair(&self) -> Result<(Self::Sender, Self::Receiver)> {
        Ok((SlotEnd::new(self), SlotEnd::new(self)))
    }
}

impl<const N: usize, const CAPACITY: usize> Sender for SlotEnd<N, CAPACITY> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        if N <= 8 {
            self.send(&[number; N]);
        } else {
            self.value[N - 1] = number;
            self.send(&raw const *self.value);
        }
        Ok(())
    }
}

impl<const N: usize, const CAPACITY: usize> Receiver for SlotEnd<N, CAPACITY> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let value = self.receive();
        self.ring.head.0.store(self.pos, Release);
        Ok(number_of(&value))
    }
}

/// The same ring, whose sender makes every word of a batch's values, and whose receiver uses every word. It sends them
/// singly.
pub struct Singly<const N: usize, const CAPACITY: usize>(pub &'static SlotRing<N, CAPACITY>);

/// An end of it.
pub struct SinglyEnd<const N: usize, const CAPACITY: usize>(SlotEnd<N, CAPACITY>);

impl<const N: usize, const CAPACITY: usize> Line for Singly<N, CAPACITY> {
    type Sender = SinglyEnd<N, CAPACITY>;
    type Receiver = SinglyEnd<N, CAPACITY>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(SinglyEnd(SlotEnd::new(self.0)))
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(SinglyEnd(SlotEnd::new(self.0)))
    }
}

impl<const N: usize, const CAPACITY: usize> Sender for SinglyEnd<N, CAPACITY> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        (0..BATCH).for_each(|index| self.0.send(&made(number, index)));
        Ok(())
    }
}

impl<const N: usize, const CAPACITY: usize> Receiver for SinglyEnd<N, CAPACITY> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let mut used = Used::new();
        for _ in 0..BATCH {
            used.add(&self.0.receive());
            self.0.ring.head.0.store(self.0.pos, Release);
        }
        Ok(used.number())
    }
}

/// The same in batches, which are made and used where they lie. A batch is published from its end to its front.
pub struct InPlace<const N: usize, const CAPACITY: usize>(pub &'static SlotRing<N, CAPACITY>);

/// An end of it.
pub struct InPlaceEnd<const N: usize, const CAPACITY: usize>(SlotEnd<N, CAPACITY>);

impl<const N: usize, const CAPACITY: usize> InPlaceEnd<N, CAPACITY> {
    #[inline(always)]
    fn slot(&self, index: usize) -> &'static Slot<N> {
        &self.0.ring.slots[(self.0.pos as usize + index) % CAPACITY]
    }
}

impl<const N: usize, const CAPACITY: usize> Line for InPlace<N, CAPACITY> {
    type Sender = InPlaceEnd<N, CAPACITY>;
    type Receiver = InPlaceEnd<N, CAPACITY>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(InPlaceEnd(SlotEnd::new(self.0)))
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(InPlaceEnd(SlotEnd::new(self.0)))
    }
}

impl<const N: usize, const CAPACITY: usize> Sender for InPlaceEnd<N, CAPACITY> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        const { assert!(CAPACITY.is_multiple_of(BATCH)) };
        if self.0.pos == self.0.limit {
            self.0.wait_for_space();
        }
        for index in 0..BATCH {
            // SAFETY: the receiver, which goes on by batches, has done with all slots of this one, and looks at them
            // next after the stamps.
            unsafe { self.slot(index).payload().write(made(number, index)) };
        }
        for index in (0..BATCH).rev() {
            self.slot(index).stamp.store(self.0.pos + index as u64 + 1, Release);
        }
        self.0.pos += BATCH as u64;
        Ok(())
    }
}

impl<const N: usize, const CAPACITY: usize> Receiver for InPlaceEnd<N, CAPACITY> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let mut used = Used::new();
        for index in 0..BATCH {
            let slot = self.slot(index);
            spin_until(|| slot.stamp.load(Acquire) == self.0.pos + index as u64 + 1);
            // SAFETY: the stamp says that the payload is there, and the sender waits for the head.
            used.add(unsafe { &*slot.payload() });
        }
        self.0.pos += BATCH as u64;
        self.0.ring.head.0.store(self.0.pos, Release);
        Ok(used.number())
    }
}
