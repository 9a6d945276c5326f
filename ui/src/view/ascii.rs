//! Plain ASCII for terminals without more: every other sign on the finished screen is replaced.

use ratatui::buffer::Buffer;

/// Replaces every cell that holds more than ASCII.
pub(super) fn fold(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let sign = cell.symbol().chars().next().map_or(' ', replacement);
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
        '□' | '·' | '◌' => '.',
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
