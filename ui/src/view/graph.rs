//! Small pictures of numbers: braille charts, sparks, meters. Knows no model.

/// Returns the cells of a filled braille chart, from the top row: two samples a column, four levels
/// a row. `samples` are the heights from 0.0 to 1.0.
pub(super) fn braille(samples: &[f64], columns: usize, rows: usize) -> Vec<String> {
    let levels = |sample: usize| -> usize {
        let value = samples.get(sample).copied().unwrap_or(0.0).clamp(0.0, 1.0);
        let level = (value * (rows * 4) as f64).round() as usize;
        if value > 0.0 { level.max(1) } else { 0 }
    };
    (0..rows)
        .map(|row| {
            let base = (rows - 1 - row) * 4;
            let filled = |sample: usize| levels(sample).saturating_sub(base).min(4);
            (0..columns).map(|c| cell(filled(2 * c), filled(2 * c + 1))).collect()
        })
        .collect()
}

/// Returns the braille cell with dots filled from below in both of its columns.
fn cell(left: usize, right: usize) -> char {
    const LEFT: [u32; 5] = [0x00, 0x40, 0x44, 0x46, 0x47];
    const RIGHT: [u32; 5] = [0x00, 0x80, 0xa0, 0xb0, 0xb8];
    match LEFT[left.min(4)] | RIGHT[right.min(4)] {
        0 => ' ',
        dots => char::from_u32(0x2800 + dots).unwrap_or(' '),
    }
}

/// Returns `width` heights from 0.0 to 1.0 of `top`, the newest last; fewer samples leave the left
/// empty, more are averaged.
pub(super) fn resample(samples: &[u64], width: usize, span: usize, top: f64) -> Vec<f64> {
    let recent = &samples[samples.len().saturating_sub(span)..];
    let missing = span - recent.len();
    (0..width)
        .map(|i| {
            let (from, to) = (i * span / width, ((i + 1) * span / width).max(i * span / width + 1));
            let held: Vec<u64> =
                (from..to).filter_map(|at| recent.get(at.checked_sub(missing)?).copied()).collect();
            let mean = held.iter().sum::<u64>() as f64 / held.len().max(1) as f64;
            if top > 0.0 { mean / top } else { 0.0 }
        })
        .collect()
}

/// Returns blocks, one a sample.
pub(super) fn blocks(samples: &[f64]) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let block = |value: &f64| {
        let at = (value.clamp(0.0, 1.0) * 8.0).round() as usize;
        BLOCKS[if *value > 0.0 { at.max(1) } else { 0 }]
    };
    samples.iter().map(block).collect()
}

/// Returns the filled and the empty part of a meter.
pub(super) fn meter(permille: u64, width: usize) -> (String, String) {
    let filled = (permille.min(1_000) as usize * width + 500) / 1_000;
    ("━".repeat(filled), "─".repeat(width - filled))
}

/// Returns the least of 1, 2, 5, 10, 20, … that is not below `value`.
pub(super) fn nice_top(value: u64) -> u64 {
    let mut step = 1u64;
    loop {
        for factor in [1, 2, 5] {
            if step.saturating_mul(factor) >= value {
                return step.saturating_mul(factor);
            }
        }
        step = step.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_fill_from_below() {
        assert_eq!(braille(&[1.0, 0.5], 1, 2), ["⡇", "⣿"]);
        assert_eq!(braille(&[0.0, 0.01], 1, 1), ["⢀"]);
        assert_eq!(blocks(&[0.0, 0.01, 0.5, 1.0]), " ▁▄█");
        assert_eq!(meter(970, 8), ("━━━━━━━━".to_owned(), String::new()));
        assert_eq!([nice_top(0), nice_top(3), nice_top(812)], [1, 5, 1_000]);
        assert_eq!(resample(&[4, 8], 4, 4, 8.0), [0.0, 0.0, 0.5, 1.0]);
        assert_eq!(resample(&[], 2, 300, 1.0), [0.0, 0.0]);
    }
}
