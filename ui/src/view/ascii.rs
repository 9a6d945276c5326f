//! Plain ASCII for terminals without more: every other sign on the finished screen is replaced.

use ratatui::buffer::Buffer;

/// Replaces every cell that holds more than ASCII.
pub(super) fn fold(buffer: &mut Buffer) {
    let first_line = usize::from(buffer.area.width);
    for (at, cell) in buffer.content.iter_mut().enumerate() {
        if !cell.symbol().is_ascii() {
            let sign = match cell.symbol().chars().next() {
                None => ' ',
                // In the first line it is the connection's, everywhere else a blocked task's.
                Some('◌') if at < first_line => '.',
                Some(c) => replacement(c),
            };
            cell.set_char(sign);
        }
    }
}

fn replacement(c: char) -> char {
    match c {
        '╭' | '╮' | '╰' | '╯' | '├' | '┤' | '└' => '+',
        '│' => '|',
        '─' | '╌' | '–' | '—' => '-',
        '━' => '=',
        '○' => '.',
        '◔' => 'o',
        '▸' | '▌' | '›' => '>',
        '‹' => '<',
        '↻' => 'r',
        '✓' => '+',
        '✗' | '×' => 'x',
        '◷' => 'T',
        '⊘' => '-',
        '⇄' | '…' | '≈' => '~',
        '●' | '■' | '◆' | '◐' => '*',
        '◌' => 'b',
        '□' | '·' => '.',
        '█' => '#',
        '░' | '▁'..='▃' => '.',
        '▄'..='▇' | '▉'..='▏' => ':',
        '↑' | '▲' => '^',
        '↓' | '▼' => 'v',
        '←' => '<',
        '→' => '>',
        '²' => '2',
        '’' => '\'',
        'µ' => 'u',
        '␛' => '^',
        '\u{2801}'..='\u{28ff}' => {
            if (c as u32).count_ones() > ('\u{2800}' as u32).count_ones() + 4 { '#' } else { ':' }
        }
        _ => '?',
    }
}
