//! Names shaped like those of real blocklists, the same at every run.

/// A small generator of pseudo-random numbers (xorshift64*): the same sequence everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    pub fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

const TOP: [&str; 16] =
    ["com", "com", "com", "com", "com", "com", "com", "net", "net", "org", "ru", "de", "top", "xyz", "co.uk", "info"];
const SUB: [&str; 12] =
    ["www", "ads", "track", "metrics", "cdn", "click", "pixel", "api", "log", "events", "img", "collect"];
const SYLLABLES: [&str; 24] = [
    "ba", "clo", "dre", "fi", "gra", "hu", "jo", "ka", "lin", "mo", "ne", "pla", "qui", "ra", "ster", "tu", "vo", "wi",
    "ze", "bran", "col", "den", "sha", "tri",
];

/// One label: two to four syllables, sometimes with a number.
pub fn label(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..2 + random.below(3) {
        text.push_str(random.pick(&SYLLABLES));
    }
    if random.below(5) == 0 {
        text.push_str(&random.below(10_000).to_string());
    }
    text
}

/// A name of two labels (42 %), three (40 %), four or five, of 22 octets on average. `serial` makes it unlike others.
pub fn name(random: &mut Random, serial: usize) -> String {
    let base = format!("{}{serial:x}.{}", label(random), random.pick(&TOP));
    match random.below(100) {
        0..42 => base,
        42..82 => format!("{}.{base}", random.pick(&SUB)),
        82..96 => format!("{}.{}.{base}", random.pick(&SUB), random.pick(&SUB)),
        _ => format!("{}.{}.{}.{base}", random.pick(&SUB), label(random), random.pick(&SUB)),
    }
}

/// A list of so many names, one a line.
pub fn domains(count: usize) -> String {
    let mut random = Random::new(1);
    let mut text = String::with_capacity(count * 24);
    for serial in 0..count {
        text.push_str(&name(&mut random, serial));
        text.push('\n');
    }
    text
}

/// A hosts file of so many lines as they are found: header, comments, tabs, upper case, two names on some lines.
pub fn hosts(lines: usize) -> String {
    let mut random = Random::new(2);
    let mut text = String::from("# a hosts file\r\n127.0.0.1 localhost\r\n::1 localhost ip6-localhost\r\n");
    for serial in 0..lines {
        let own = name(&mut random, serial);
        match serial % 20 {
            0 => text.push_str(&format!("# section {serial}\n")),
            1 => text.push_str(&format!("0.0.0.0\t{own} www.{own} # two\n")),
            2 => text.push_str(&format!("127.0.0.1 {}.\r\n", own.to_uppercase())),
            _ => text.push_str(&format!("0.0.0.0 {own}\n")),
        }
    }
    text
}

/// An AdBlock list of so many lines: mostly plain rules, with exceptions, modifiers, patterns, cosmetic rules among them.
pub fn adblock(lines: usize) -> String {
    let mut random = Random::new(3);
    let mut text = String::from("[Adblock Plus 2.0]\n! Title: mixed\n");
    for serial in 0..lines {
        let own = name(&mut random, serial);
        match serial % 50 {
            0 => text.push_str(&format!("@@||{own}^\n")),
            1 => text.push_str(&format!("||{own}^$important\n")),
            2 => text.push_str(&format!("||{own}^$dnstype=AAAA\n")),
            3 => text.push_str(&format!("||{own}^$third-party\n")),
            4 => text.push_str(&format!("{own}##.banner\n")),
            5 => text.push_str(&format!("||{own}/path^\n")),
            6 => text.push_str(&format!("||{own}^$dnsrewrite=NOERROR;A;192.0.2.1\n")),
            7 if serial % 1000 == 7 => text.push_str(&format!("/^{}[0-9]+\\./\n", label(&mut random))),
            8 if serial % 1000 == 8 => text.push_str(&format!("*{}*.\n", label(&mut random))),
            _ => text.push_str(&format!("||{own}^\n")),
        }
    }
    text
}
