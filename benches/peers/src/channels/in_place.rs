//! `bytes` in place: the sender makes the record where it will lie, the receiver uses it where it lies.
//!
//! What there is to gain is the two copies. So making and using are part of the job, here and in the references: the
//! sender writes every byte of each message, the receiver reads every byte and sees whether it is the one that was
//! written. The memcpy ring's sender does so in a buffer of its own and copies it in, and its receiver copies it out
//! first.
//!
//! Both are as cheap as they can be, by `memset` and by sums in the widest vectors that are worth it, for they cost the
//! same with and without copies and the more they cost the less can be seen of these. Neither is free, and the bytes
//! have to come from the other processor's cache in any case: the receiver waits for that where it reads in place, and
//! in the copy otherwise. How much is gained over the memcpy ring is therefore up to the machine, and the bare ring in
//! place shows how much there is to gain.

use ringway::{Wait, bytes};

use super::bytes::Bytes;
use crate::line::{Line, Receiver, Result, Sender};

/// Makes a record: the number in its last word, and that number's lowest byte everywhere else.
///
/// # Safety
///
/// `record` is aligned and valid for writes of that many words, and nobody else accesses them.
#[inline(always)]
pub unsafe fn produce(record: *mut u64, words: usize, number: u64) {
    // SAFETY: as the caller vouches.
    unsafe { record.write_bytes(number as u8, words) };
    let Some(last) = words.checked_sub(1) else { return };
    // SAFETY: inside the record.
    let last = unsafe { record.add(last) };
    // SAFETY: as the caller vouches.
    unsafe { last.write(number) };
}

/// Uses a record: the number it was made of, if all its words add up.
#[inline(always)]
pub fn consumed(record: &[u64]) -> u64 {
    let Some((&number, rest)) = record.split_last() else { return u64::MAX };
    let word = u64::from_ne_bytes([number as u8; 8]);
    if sum(rest) == word.wrapping_mul(rest.len() as u64) { number } else { u64::MAX }
}

#[inline(always)]
fn sum(words: &[u64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has such vectors.
        return unsafe { wide_sum(words) };
    }
    plain_sum(words)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide_sum(words: &[u64]) -> u64 {
    plain_sum(words)
}

#[inline(always)]
fn plain_sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum: u64, &word| sum.wrapping_add(word))
}

/// A ring of records of one length, a multiple of 8.
pub struct InPlace {
    line: Bytes,
    len: usize,
}

impl InPlace {
    /// A ring of about the size of `capacity` records.
    pub fn new(len: usize, capacity: usize) -> Result<Self> {
        Ok(Self { line: Bytes::new(len, capacity, Wait::Spin)?, len })
    }
}

pub struct InPlaceSender {
    end: bytes::Sender,
    len: usize,
}

pub struct InPlaceReceiver(bytes::Receiver);

impl Line for InPlace {
    type Sender = InPlaceSender;
    type Receiver = InPlaceReceiver;

    fn sender(&self) -> Result<InPlaceSender> {
        Ok(InPlaceSender { end: self.line.sender()?.end, len: self.len })
    }

    fn receiver(&self) -> Result<InPlaceReceiver> {
        Ok(InPlaceReceiver(self.line.receiver()?.end))
    }
}

impl Sender for InPlaceSender {
    fn put(&mut self, number: u64) -> Result {
        let mut record = self.end.send_ref(self.len)?;
        let words = record.len() / 8;
        // SAFETY: the record is aligned to 8, and this sender's alone until it is sent.
        unsafe { produce(record.as_mut_ptr().cast(), words, number) };
        Ok(record.send()?)
    }
}

impl Receiver for InPlaceReceiver {
    fn get(&mut self) -> Result<u64> {
        let record = self.0.recv_ref()?;
        // SAFETY: all who have the region are this program's processes, whose sender leaves a record alone once it is
        // sent.
        let bytes = unsafe { record.as_slice() };
        // SAFETY: any bytes are numbers.
        let (before, words, after) = unsafe { bytes.align_to::<u64>() };
        if !before.is_empty() || !after.is_empty() {
            return Err("a record that is not made of words".into());
        }
        Ok(consumed(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_shows_its_number_only_if_it_is_whole() {
        let mut record = [0; 1024];
        // SAFETY: the record has that many words.
        unsafe { produce(record.as_mut_ptr(), record.len(), 77) };
        assert_eq!(consumed(&record), 77);
        record[512] += 1;
        assert_ne!(consumed(&record), 77);
        assert_eq!(consumed(&[]), u64::MAX);
    }
}
