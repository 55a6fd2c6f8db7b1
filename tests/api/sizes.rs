//! Values of every size.

use ringway::{TryRecvError, TrySendError, seqlock};

use crate::ends::{ring, some_bytes};

fn every_form_with<const N: usize>() {
    let (_channel, mut tx, mut rx) = ring::<[u8; N]>(3);
    let make = |i: u64| -> [u8; N] { some_bytes(i * 1000 + N as u64, N).try_into().unwrap() };
    let mut i = 0;
    for fill in [1, 3, 2, 3, 3, 1, 2] {
        for seq in i..i + fill {
            if seq % 2 == 0 {
                tx.try_send(&make(seq)).unwrap();
            } else {
                let mut slot = tx.try_send_ref().unwrap();
                slot.write(&make(seq));
                slot.send().unwrap();
            }
        }
        assert_eq!(tx.try_send(&make(0)).err(), (fill == 3).then_some(TrySendError::Full));
        for seq in i..i + fill {
            if seq % 3 == 0 {
                assert_eq!(rx.try_recv_ref().unwrap().read(), make(seq), "size {N}");
            } else {
                assert_eq!(rx.try_recv(), Ok(make(seq)), "size {N}");
            }
        }
        if fill < 3 {
            assert_eq!(rx.try_recv(), Ok(make(0)));
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        i += fill;
    }
    // A send must touch nothing beside its value: the neighbours in the ring stay as they were.
    let all = [make(1), make(2), make(3)];
    assert_eq!(tx.try_send_some(&all), Ok(ringway::Sent(3)));
    let mut found = [[0; N]; 3];
    assert_eq!(rx.try_recv_slice(&mut found), Ok(3));
    assert_eq!(found, all);

    let latest = seqlock::Channel::<[u8; N]>::options().anonymous().unwrap();
    let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
    for i in 0..5 {
        writer.write(&make(i)).unwrap();
        assert_eq!(reader.read(), Ok(make(i)), "size {N}");
    }
}

macro_rules! every_size {
    ($($tens:literal)*) => { $( every_size!(@ten $tens); )* };
    (@ten $tens:literal) => {
        every_form_with::<{ $tens * 10 + 1 }>();
        every_form_with::<{ $tens * 10 + 2 }>();
        every_form_with::<{ $tens * 10 + 3 }>();
        every_form_with::<{ $tens * 10 + 4 }>();
        every_form_with::<{ $tens * 10 + 5 }>();
        every_form_with::<{ $tens * 10 + 6 }>();
        every_form_with::<{ $tens * 10 + 7 }>();
        every_form_with::<{ $tens * 10 + 8 }>();
        every_form_with::<{ $tens * 10 + 9 }>();
        every_form_with::<{ $tens * 10 + 10 }>();
    };
}

#[test]
fn values_of_every_size_from_1_to_200_cross_whole() {
    every_size!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
}

#[test]
fn large_values_cross_whole() {
    every_form_with::<2047>();
    every_form_with::<2048>();
    every_form_with::<2049>();
    every_form_with::<4096>();
    every_form_with::<10_001>();
}
