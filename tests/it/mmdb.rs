//! Writes databases in MaxMind's format (version 2.0), as small as tests need them.

use ipnet::IpNet;
use std::net::IpAddr;

/// Bits of a record: a node has two of them.
const RECORD_BITS: u16 = 32;

/// A database in which each network has a map of its own.
pub fn database(entries: &[(&str, &[(&str, Value<'_>)])]) -> Vec<u8> {
    let mut tree = Tree::default();
    let mut data = Vec::new();
    for (network, map) in entries {
        let at = data.len();
        write(&Value::Map(map), &mut data);
        tree.insert(network.parse().unwrap(), at);
    }
    let count = tree.nodes.len() as u32;
    let mut out = Vec::new();
    for node in &tree.nodes {
        for record in node {
            let number = match record {
                Record::Nothing => count,
                Record::Node(node) => *node as u32,
                // Sixteen zero octets lie between tree and data.
                Record::Data(at) => count + 16 + *at as u32,
            };
            out.extend(number.to_be_bytes());
        }
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata: [(&str, Value<'_>); 8] = [
        ("node_count", Value::U32(count)),
        ("record_size", Value::U16(RECORD_BITS)),
        ("ip_version", Value::U16(6)),
        ("database_type", Value::Text("test")),
        ("binary_format_major_version", Value::U16(2)),
        ("binary_format_minor_version", Value::U16(0)),
        ("build_epoch", Value::U64(1)),
        ("description", Value::Map(&[("en", Value::Text("test"))])),
    ];
    let with_languages: Vec<(&str, Value<'_>)> =
        metadata.into_iter().chain([("languages", Value::Array(&[]))]).collect();
    write(&Value::Map(&with_languages), &mut out);
    out
}

/// What a database holds.
pub enum Value<'a> {
    Text(&'a str),
    U16(u16),
    U32(u32),
    U64(u64),
    Map(&'a [(&'a str, Value<'a>)]),
    Array(&'a [Value<'a>]),
}

fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    let control = |kind: u8, size: usize, out: &mut Vec<u8>| {
        assert!(size < 285, "a larger size has another form");
        let short = size.min(29) as u8;
        if kind <= 7 {
            out.push(kind << 5 | short);
        } else {
            out.extend([short, kind - 7]);
        }
        if size >= 29 {
            out.push((size - 29) as u8);
        }
    };
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::U16(number) => {
            control(5, 2, out);
            out.extend(number.to_be_bytes());
        }
        Value::U32(number) => {
            control(6, 4, out);
            out.extend(number.to_be_bytes());
        }
        Value::U64(number) => {
            control(9, 8, out);
            out.extend(number.to_be_bytes());
        }
        Value::Map(entries) => {
            control(7, entries.len(), out);
            for (key, value) in *entries {
                write(&Value::Text(key), out);
                write(value, out);
            }
        }
        Value::Array(items) => {
            control(11, items.len(), out);
            items.iter().for_each(|item| write(item, out));
        }
    }
}

#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// A tree over the 128 bits of IPv6 addresses; IPv4 lies at ::/96.
struct Tree {
    nodes: Vec<[Record; 2]>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![[Record::Nothing; 2]] }
    }
}

impl Tree {
    fn insert(&mut self, network: IpNet, data: usize) {
        let (bits, length) = match network.network() {
            IpAddr::V4(address) => (u128::from(u32::from(address)), network.prefix_len() + 96),
            IpAddr::V6(address) => (u128::from(address), network.prefix_len()),
        };
        let mut node = 0;
        for depth in 0..length {
            let side = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == length {
                self.nodes[node][side] = Record::Data(data);
                return;
            }
            node = match self.nodes[node][side] {
                Record::Node(next) => next,
                // What a wider network says holds for the rest of it.
                wider => {
                    self.nodes.push([wider; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Record::Node(next);
                    next
                }
            };
        }
    }
}
