//! Reads a page of metrics as strictly as Prometheus does, and more so: what it would only warn of is a mistake here.

use std::collections::{BTreeMap, BTreeSet};

/// A page: what is said of each metric, by its name.
pub type Families = BTreeMap<String, Family>;

/// One metric with all its series.
#[derive(Default, Debug)]
pub struct Family {
    pub kind: String,
    pub samples: Vec<Sample>,
}

/// One line that is a figure.
#[derive(Debug)]
pub struct Sample {
    /// As the line has it: a histogram's ends with `_bucket`, `_sum` or `_count`.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Reads a page; an error tells the line and what is wrong with it.
pub fn read(text: &str) -> Result<Families, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let mut families = Families::new();
    let mut helped = BTreeSet::new();
    let mut series = BTreeSet::new();
    // The metric whose lines are being read: they stand together.
    let mut current = String::new();
    for line in text.lines() {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or(wrong("no help"))?;
            if !helped.insert(name) || help.is_empty() {
                return Err(wrong("help given twice, or none"));
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or(wrong("no type"))?;
            let is_sound = helped.contains(name) && !families.contains_key(name) && is_name(name);
            if !is_sound || !["counter", "gauge", "histogram"].contains(&kind) {
                return Err(wrong("a type without help, or twice, or of no known kind"));
            }
            if (kind == "counter") != name.ends_with("_total") {
                return Err(wrong("counters, and nothing else, end in _total"));
            }
            current = name.to_owned();
            families.insert(current.clone(), Family { kind: kind.to_owned(), samples: Vec::new() });
        } else {
            let sample = sample(line).ok_or(wrong("not a sample"))?;
            let family = families.get_mut(&current).ok_or(wrong("no type before it"))?;
            if !belongs(&sample.name, &current, &family.kind) {
                return Err(wrong("not where its metric is"));
            }
            if !series.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(wrong("twice"));
            }
            if family.kind != "gauge" && (sample.value < 0.0 || sample.value.is_nan()) {
                return Err(wrong("less than nothing was counted"));
            }
            family.samples.push(sample);
        }
    }
    if let Some(alone) = helped.iter().find(|name| !families.contains_key(**name)) {
        return Err(format!("help without a type: {alone}"));
    }
    families.iter().filter(|(_, family)| family.kind == "histogram").try_for_each(|(name, family)| {
        let told = |what| format!("{name}: {what}");
        check_histogram(name, family).map_err(told)
    })?;
    Ok(families)
}

/// True if a sample of this name is one of the metric's.
fn belongs(sample: &str, family: &str, kind: &str) -> bool {
    match sample.strip_prefix(family) {
        Some("") => kind != "histogram",
        Some("_bucket" | "_sum" | "_count") => kind == "histogram",
        _ => false,
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Buckets rise in bound and in count, the last has no bound and holds all; each has its sum and count.
fn check_histogram(name: &str, family: &Family) -> Result<(), &'static str> {
    let mut buckets: BTreeMap<BTreeMap<&str, &str>, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in family.samples.iter().filter(|sample| sample.name == format!("{name}_bucket")) {
        let bound = sample.labels.get("le").ok_or("a bucket without a bound")?;
        let bound = bound.parse::<f64>().map_err(|_| "a bound that is no number")?;
        buckets.entry(labels_but_bound(sample)).or_default().push((bound, sample.value));
    }
    for (labels, buckets) in &buckets {
        if !buckets.is_sorted_by(|(bound, count), (next, more)| bound < next && count <= more) {
            return Err("buckets that don't rise");
        }
        let of = |ending: &str| {
            let own =
                |sample: &&Sample| sample.name == format!("{name}{ending}") && labels_but_bound(sample) == *labels;
            family.samples.iter().find(own).map(|sample| sample.value)
        };
        let (last, count) = buckets.last().ok_or("no bucket")?;
        if last.is_finite() || of("_count") != Some(*count) || of("_sum").is_none() {
            return Err("no bucket that holds all, or no sum or count of it");
        }
    }
    let others = family.samples.iter().filter(|sample| !sample.name.ends_with("_bucket"));
    if others.count() != 2 * buckets.len() { Err("a sum or count without buckets") } else { Ok(()) }
}

fn labels_but_bound(sample: &Sample) -> BTreeMap<&str, &str> {
    let labels = sample.labels.iter().filter(|(name, _)| *name != "le");
    labels.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// `name{label="value",…} figure`.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let name = series.split('{').next().filter(|name| is_name(name))?;
    let labels = match &series[name.len()..] {
        "" => BTreeMap::new(),
        braced => labels(braced.strip_prefix('{')?.strip_suffix('}')?)?,
    };
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// `label="value",…`, with quotes, backslashes and ends of lines in values escaped.
fn labels(mut rest: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, text) = rest.split_once("=\"")?;
        let (value, after) = quoted(text)?;
        if !is_name(name) || labels.insert(name.to_owned(), value).is_some() {
            return None;
        }
        rest = match after {
            "" => return Some(labels),
            more => more.strip_prefix(',')?,
        };
    }
}

/// The text up to the quote that ends it, and what stands after that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                _ => return None,
            }),
            (_, character) => value.push(character),
        }
    }
}

#[test]
fn what_is_not_well_formed_is_found() {
    let head = "# HELP a_total Things.\n# TYPE a_total counter\n";
    let gauge = "# HELP g Things.\n# TYPE g gauge\n";
    let histogram = "# HELP h Things.\n# TYPE h histogram\n";
    let well = [
        String::new(),
        format!("{head}a_total 1\n"),
        format!("{head}{gauge}g -1.5\n"),
        format!("{head}a_total{{x=\"\",y=\"a \\\"b\\\" \\\\ \\n}},\"}} 0\n"),
        format!("{histogram}h_bucket{{le=\"0.5\"}} 1\nh_bucket{{le=\"+Inf\"}} 2\nh_sum 3.5\nh_count 2\n"),
    ];
    for page in well {
        assert!(read(&page).is_ok(), "{page}: {:?}", read(&page));
    }
    let buckets = |lines: &str| format!("{histogram}{lines}");
    for (page, expected) in [
        (format!("{head}a_total 1"), "no end"),
        ("a_total 1\n".to_owned(), "no type"),
        ("# HELP a_total \n".to_owned(), "twice, or none"),
        ("# HELP a_total Things.\n".to_owned(), "without a type"),
        ("# TYPE a_total counter\na_total 1\n".to_owned(), "without help"),
        ("# HELP a Things.\n# TYPE a counter\na 1\n".to_owned(), "end in _total"),
        ("# HELP a_total Things.\n# TYPE a_total gauge\na_total 1\n".to_owned(), "end in _total"),
        ("# HELP a_total Things.\n# TYPE a_total thing\n".to_owned(), "no known kind"),
        (format!("{head}{head}"), "twice"),
        (format!("{head}a_total 1\na_total 2\n"), "twice"),
        (format!("{head}a_total{{x=\"1\",y=\"2\"}} 1\na_total{{y=\"2\",x=\"1\"}} 2\n"), "twice"),
        (format!("{head}b_total 1\n"), "not where"),
        (format!("{head}{gauge}a_total 1\n"), "not where"),
        (format!("{head}a_total_sum 1\n"), "not where"),
        (format!("{head}a_total -1\n"), "less than nothing"),
        (format!("{head}a_total NaN\n"), "less than nothing"),
        (format!("{head}a_total one\n"), "not a sample"),
        (format!("{head}a_total\n"), "not a sample"),
        (format!("{head}\n"), "not a sample"),
        (format!("{head}a_total{{}} 1\n"), "not a sample"),
        (format!("{head}a_total{{x=\"1\" 1\n"), "not a sample"),
        (format!("{head}a_total{{x=\"1\"y=\"2\"}} 1\n"), "not a sample"),
        (format!("{head}a_total{{x=\"1\",x=\"2\"}} 1\n"), "not a sample"),
        (format!("{head}a_total{{x=\"\\t\"}} 1\n"), "not a sample"),
        (format!("{head}a_total{{X=\"1\"}} 1\n"), "not a sample"),
        (buckets("h 1\n"), "not where"),
        (buckets("h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n"), "no bucket that holds all"),
        (buckets("h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n"), "don't rise"),
        (buckets("h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n"), "rise"),
        (buckets("h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n"), "no bucket that holds all"),
        (buckets("h_bucket{le=\"+Inf\"} 1\nh_count 1\n"), "no bucket that holds all"),
        (buckets("h_bucket 1\nh_sum 1\nh_count 1\n"), "without a bound"),
        (buckets("h_sum 1\nh_count 1\n"), "without buckets"),
    ] {
        let found = read(&page).expect_err(&page);
        assert!(found.contains(expected), "{page}: {found}");
    }
}
