//! What is read, how it is shown, what is said about what cannot be read; and random text.

use super::*;

/// Reads a filter and compares what it is shown as.
#[track_caller]
fn check(text: &str, shown: &str) {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(filter.to_string(), shown, "{text}");
    assert_eq!(Filter::parse(shown).unwrap(), filter, "{text}");
}

#[test]
fn filters_are_read_and_shown_alike() {
    for text in [
        "",
        "state:failed|cancelled",
        "batch:b12 -kind:exec",
        "batch:nightly",
        "batch:\"12\"",
        "queue:mail|default",
        "id:5..9 worker:a|b",
        "id:7",
        "id:7..",
        "label:stage",
        "label:stage=prod|\"two words\"",
        "prio>5 prio>=5 prio<5 prio<=5 prio:5 prio:-5..5",
        "tries>=2 exit:0|1",
        "dur>10s wait>1m age<1h dur:250ms",
        "cmd:gzip|\"a|b\" -thumbs",
        "n=123 a/b.log http://x/y 12:30 C:\\x \"say \\\"hi\\\"\"",
        "\"state:x\" \"-x\"",
    ] {
        check(text, text);
    }
    check("state:leased", "state:sent|running");
    check("  two\tterms ", "two terms");
    check("prio=5 prio:>5 id>7 id<=9", "prio:5 prio>5 id:8.. id:0..9");
    check(
        "dur>1.5s dur>1h30m dur>90s dur>1.0s wait:1m..2m",
        "dur>1500ms dur>90m dur>90s dur>1s wait:1m..2m",
    );
    check("exit:..3 tries:2..", "exit<=3 tries>=2");
    check("sta\"te:x\" -\"two words\"", "\"state:x\" -\"two words\"");
    check("state:failed|", "state:failed");
}

#[test]
fn bad_terms_say_what_to_write() {
    let check = |text: &str, part: &str, at: usize| {
        let error = Filter::parse(text).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(!error.is_unfinished(), "{text}: {error}");
    };
    check("state:x", "the states are", 0);
    check("kind:exec colour:red", "the keys are", 10);
    check("kind:exec colour:red", "(at character 11)", 10);
    check("ä ö kind:py", "(at character 5)", 6);
    check("id:a..b", "write id:7", 0);
    check("state=failed", "takes a colon, as in state:failed", 0);
    check("batch:b1|nightly", "not both", 0);
    check("label:a|b", "after its `=`", 0);
    check("exit:x", "write exit:1", 0);
    check("dur>10y", "write 250ms", 0);
    check("dur>99999999999999999999d", "write 250ms", 0);
    check(&"b ".repeat(FILTER_TERMS_MAX + 1), "at most 32 terms", 2 * FILTER_TERMS_MAX);
    check(&format!("x {}", "y".repeat(5_000)), "at most 4096 bytes", 2);
    check(&format!("id:1 cmd:{}", "a|".repeat(65)), "at most 64 alternatives", 5);
}

#[test]
fn a_term_that_can_still_become_right_is_unfinished() {
    for text in [
        "state:",
        "state:fai",
        "state:failed|canc",
        "kind:ex",
        "\"two wo",
        "a -",
        "label:",
        "label:a=",
        "id:",
        "id:..",
        "id:100..2",
        "prio>",
        "prio>-",
        "dur>1",
        "age<",
        "cmd:",
        "\"\"",
        "batch:",
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert!(error.is_unfinished(), "{text}: {error}");
    }
}

#[test]
fn bounds_hold_as_they_read() {
    let check = |text: &str, us: u64, expected: &str| {
        let Test::Took(bound) = &Filter::parse(text).unwrap().terms[0].test else { panic!() };
        assert_eq!(if bound.holds(us) { "yes" } else { "no" }, expected, "{text} {us}");
    };
    check("dur>10s", 10_000_000, "no");
    check("dur>10s", 10_000_001, "yes");
    check("dur>=10s", 10_000_000, "yes");
    check("dur:10s", 10_999_999, "yes");
    check("dur:10s", 11_000_000, "no");
    check("dur:10s..20s", 20_000_000, "yes");
    check("dur<250us", 249, "yes");
}

#[test]
fn every_key_of_the_table_is_read() {
    for (key, example, _) in KEYS {
        let filter = Filter::parse(example).unwrap();
        assert!(!matches!(filter.terms[0].test, Test::Word(_)), "{key}");
        assert_eq!(filter.to_string(), example);
    }
}

#[test]
fn a_filter_from_a_peer_is_checked() {
    let text = |bytes: usize| Term { negated: false, test: Test::Word("x".repeat(bytes)) };
    let decoded = |terms: Vec<Term>| {
        let bytes = postcard::to_allocvec(&Filter { terms }).unwrap();
        postcard::from_bytes::<Filter>(&bytes)
    };
    assert!(decoded(vec![text(1); 32]).is_ok());
    assert!(decoded(vec![text(1); 33]).is_err());
    assert!(decoded(vec![text(5_000)]).is_err());
    assert!(
        decoded(vec![Term { negated: true, test: Test::Exit(Bound::OneOf(vec![1; 65])) }]).is_err()
    );
}

/// Random text of the language's own pieces never panics, and what is read is shown as a text that
/// reads as the same. The seeds are the loop's numbers.
#[test]
fn random_text_is_read_as_it_is_shown() {
    const PIECES: [&str; 40] = [
        "state:",
        "batch:",
        "queue:",
        "kind:",
        "worker:",
        "label:",
        "id:",
        "prio",
        "tries",
        "exit",
        "dur",
        "wait",
        "age",
        "cmd:",
        ":",
        "=",
        "<",
        ">",
        "<=",
        ">=",
        "|",
        "..",
        "-",
        "\"",
        "\\",
        " ",
        "  ",
        "failed",
        "b12",
        "12",
        "10s",
        "1.5h",
        "exec",
        "ä",
        "\u{202e}",
        "\n",
        "k=v",
        "99999999999999999999",
        "x",
        "\u{1f600}",
    ];
    let mut read = 0;
    for seed in 1..60_000_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below
        };
        let text: String = (0..next(9)).map(|_| PIECES[next(PIECES.len())]).collect();
        let Ok(filter) = Filter::parse(&text) else { continue };
        let shown = filter.to_string();
        assert_eq!(Filter::parse(&shown).as_ref(), Ok(&filter), "{seed}: {text:?} as {shown:?}");
        read += 1;
    }
    assert!(read > 10_000, "{read} of the texts are filters");
}
