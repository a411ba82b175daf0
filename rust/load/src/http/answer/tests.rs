use proptest::prelude::*;

use super::*;

/// Feeds an answer piece by piece, cut at the given places; what it said, and how many bytes were left.
fn fed(bytes: &[u8], cuts: &[usize]) -> Result<(Option<Said>, usize), Malformed> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
    places.sort_unstable();
    let mut answer = Answer::new(false);
    for pair in places.windows(2) {
        let (used, said) = answer.feed(&bytes[pair[0]..pair[1]])?;
        if said.is_some() {
            return Ok((said, bytes.len() - pair[0] - used));
        }
        assert_eq!(used, pair[1] - pair[0], "what belongs to no other answer is taken");
    }
    Ok((answer.end(), 0))
}

fn said(status: u16, keeps: bool, text: &str) -> Said {
    Said { status, keeps, text: text.into() }
}

#[test]
fn an_answer_of_a_known_length_is_read_past() {
    assert_eq!(fed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP", &[]), Ok((Some(said(200, true, "")), 4)));
}

#[test]
fn an_answer_without_a_length_ends_with_the_connection() {
    assert_eq!(fed(b"HTTP/1.1 400 Bad\r\n\r\nabc", &[]), Ok((Some(said(400, false, "abc")), 0)));
}

#[test]
fn answers_before_the_answer_are_read_past() {
    let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n";
    assert_eq!(fed(bytes, &[]), Ok((Some(said(204, true, "")), 0)));
}

#[test]
fn an_answer_may_end_the_connection() {
    let of = |head: &str| fed(format!("{head}\r\nContent-Length: 0\r\n\r\n").as_bytes(), &[]);
    assert_eq!(of("HTTP/1.1 200 OK\r\nConnection: Close"), Ok((Some(said(200, false, "")), 0)));
    assert_eq!(of("HTTP/1.0 200 OK"), Ok((Some(said(200, false, "")), 0)));
    assert_eq!(of("HTTP/1.0 200 OK\r\nConnection: foo, keep-alive"), Ok((Some(said(200, true, "")), 0)));
}

#[test]
fn a_long_complaint_is_kept_in_part() {
    let bytes = format!("HTTP/1.1 500 No\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(5000));
    let (found, _) = fed(bytes.as_bytes(), &[100, 300, 4000]).expect("an answer");
    assert_eq!(found.map(|said| said.text.len()), Some(TEXT_BYTES));
}

#[test]
fn what_is_no_answer_is_told() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        assert_eq!(fed(bytes, &[]), Err(Malformed), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_head_without_end_is_no_head() {
    let bytes = [b"HTTP/1.1 200 OK\r\nX: ", &vec![b'x'; MAX_HEAD_BYTES][..]].concat();
    assert_eq!(fed(&bytes, &[]), Err(Malformed));
    assert_eq!(fed(&bytes, &[30_000, 60_000]), Err(Malformed));
}

/// An answer in any of its forms, and what it says.
fn answers() -> impl Strategy<Value = (Vec<u8>, Said)> {
    let parts = (200_u16..600, prop::collection::vec(any::<u8>(), 0..300), any::<bool>(), 1_usize..80, any::<bool>());
    parts.prop_filter("those have no bodies", |parts| parts.0 != 204 && parts.0 != 304).prop_map(
        |(status, body, chunked, size, keeps)| {
            let mut bytes = format!("HTTP/1.1 {status} Reason\r\nServer: proptest\r\n").into_bytes();
            if !keeps {
                bytes.extend_from_slice(b"connection: close\r\n");
            }
            if chunked {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for part in body.chunks(size) {
                    bytes.extend_from_slice(format!("{:X}\r\n", part.len()).as_bytes());
                    bytes.extend_from_slice(part);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            } else {
                bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                bytes.extend_from_slice(&body);
            }
            let text = if status < 300 { Vec::new() } else { body };
            (bytes, Said { status, keeps, text })
        },
    )
}

proptest! {
    #[test]
    fn wherever_the_bytes_are_split_the_answer_is_the_same(
        (bytes, expected) in answers(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        prop_assert_eq!(fed(&bytes, &cuts), Ok((Some(expected), 0)));
    }

    #[test]
    fn byte_by_byte_is_as_good_as_at_once((bytes, expected) in answers()) {
        let cuts: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(fed(&bytes, &cuts), Ok((Some(expected), 0)));
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_answer((bytes, _) in answers(), cut in any::<prop::sample::Index>()) {
        prop_assert_eq!(fed(&bytes[..cut.index(bytes.len())], &[]), Ok((None, 0)));
    }

    #[test]
    fn any_bytes_are_read_or_refused_the_same_way_however_split(
        (mut bytes, _) in answers(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        for (place, byte) in wrong {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        prop_assert_eq!(fed(&bytes, &cuts), fed(&bytes, &[]));
    }
}
