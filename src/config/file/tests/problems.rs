//! What is wrong in a file is told by line and column, with what to write.

use super::*;

#[test]
fn wrong_types_say_what_to_write() {
    bad(
        "[resolve]\n    validate = \"yes\"",
        &[r#"2:16: resolve.validate: expected true or false, found a string ("yes"); write validate = true"#],
    );
    bad(
        "resolve.validate = 0",
        &[
            "1:20: resolve.validate: expected true or false, found a number (0); write validate = true or validate = false",
        ],
    );
    bad("listen = 5", &["1:10: listen: expected a table, found a number (5); write [listen] on a line of its own"]);
    bad(
        "[program]\nname = 'x'",
        &["1:1: program: expected tables, found a table; write [[program]] in double brackets"],
    );
    bad("[[log]]", &["1:1: log: expected a table, found a list; write [log] on a line of its own"]);
    bad(
        "[listen]\ndo53 = '127.0.0.1:53'\nworkers = '2'",
        &[
            r#"2:8: listen.do53: expected a list in brackets, found a string ("127.0.0.1:53"); write do53 = ["127.0.0.1:53"]"#,
            r#"3:11: listen.workers: expected a whole number, found a string ("2"); write workers = 0"#,
        ],
    );
    bad(
        "[access]\nallow = ['10.0.0.0/8', 5, ['10.0.0.0/8']]",
        &[
            r#"2:24: access.allow: expected text in quotes, found a number (5); write "192.168.0.0/16""#,
            r#"2:27: access.allow: expected text in quotes, found a list; write "192.168.0.0/16""#,
        ],
    );
    bad(
        "[policy]\nblock_ttl = 30\nmode = false\nblock = 1",
        &[
            r#"2:13: policy.block_ttl: expected text in quotes, found a number (30); write block_ttl = "30s""#,
            r#"3:8: policy.mode: expected text in quotes, found false; write mode = "enforce""#,
            r#"4:9: policy.block: expected a list in brackets, found a number (1); write block = ["192.0.2.1"]"#,
        ],
    );
    bad(
        "[cache]\nsize = 1.5",
        &[r#"2:8: cache.size: expected text in quotes, found a number (1.5); write size = "128 MiB""#],
    );
    bad(
        "[[program]]\nname = 'x'\nlists = ['own.list', { path = 1 }]\nservices = []\nexceptions = 'own.list'",
        &[
            r#"3:10: program.lists: expected a table, found a string ("own.list"); write { path = "blocklists/clean-store" }"#,
            r#"3:31: program.lists.path: expected text in quotes, found a number (1); write path = "blocklists/clean-store""#,
            r#"4:12: program.services: expected a table, found a list; write services = { tiktok = "enforce" }"#,
            r#"5:14: program.exceptions: expected a list in brackets, found a string ("own.list"); write exceptions = ["own.list"]"#,
        ],
    );
}

#[test]
fn wrong_values_say_what_to_write() {
    bad(
        "[listen]\ndo53 = []\nworkers = 5300",
        &[
            r#"2:8: listen.do53: there is no address, so nobody could ask; write do53 = ["127.0.0.1:5300"]"#,
            "3:11: listen.workers: 5300 is out of range; write 0 to 1024",
        ],
    );
    bad(
        "[listen]\ndo53 = ['127.0.0.1:53', '::1', '127.0.0.1:53']",
        &[
            r#"2:25: listen.do53: "::1" is not an address and a port; write "[::1]:53""#,
            "2:32: listen.do53: 127.0.0.1:53 stands there twice; remove one",
        ],
    );
    bad(
        "listen.do53 = ['[::1]:53', '127.0.0.1:80']\nadmin.listen = '127.0.0.1:80'",
        &["1:28: listen.do53: 127.0.0.1:80 is both in listen.do53 and admin.listen; give one of them another port"],
    );
    bad(
        "listen.do53 = ['0.0.0.0:53', '127.0.0.1:53', '[::1]:53', '[::]:53']",
        &[
            "1:30: listen.do53: 0.0.0.0:53 covers 127.0.0.1:53 already; remove one",
            "1:46: listen.do53: [::]:53 covers [::1]:53 already; remove one",
        ],
    );
    bad(
        "listen.do53 = ['0.0.0.0:53']\nadmin.listen = '127.0.0.1:53'",
        &["2:16: admin.listen: 0.0.0.0:53 in listen.do53 covers 127.0.0.1:53 already; give one of them another port"],
    );
    bad(
        "listen.do53 = ['127.0.0.1:8053']",
        &["1:16: listen.do53: 127.0.0.1:8053 is both in listen.do53 and admin.listen; give one of them another port"],
    );
    bad(
        "[access]\nallow = ['10.0.0.5/8', 'lan']",
        &[
            r#"2:10: access.allow: "10.0.0.5/8" has bits set after its prefix; write "10.0.0.0/8" or "10.0.0.5/32""#,
            r#"2:24: access.allow: "lan" is not a network; write an address and a prefix length, such as "192.168.0.0/16""#,
        ],
    );
    bad(
        "[policy]\nmode = 'enforced'\nblock = 'nxdomian'\nblock_ttl = '2d'",
        &[
            r#"2:8: policy.mode: "enforced" is not one of "off", "shadow", "enforce"; write "enforce""#,
            r#"3:9: policy.block: "nxdomian" is not one of "nxdomain", "nodata", "null", "refused", "drop"; write "nxdomain""#,
            r#"4:13: policy.block_ttl: "2d" is out of range; write "1s" to "1d""#,
        ],
    );
    bad(
        "policy.block_ttl = '0s'\ncache.size = '128 KiB'\ncache.stale = 'x'\nquery_log.size = -1",
        &[
            r#"1:20: policy.block_ttl: "0s" is out of range; write "1s" to "1d""#,
            r#"3:15: cache.stale: "x" is not a duration; write a whole number and s, m, h or d, such as "30s" or "1d""#,
            "4:18: query_log.size: -1 is out of range; write 0 to 9223372036854775807",
        ],
    );
    for size in ["'0'", "0", "'9999999 GiB'"] {
        bad(&format!("[cache]\nsize = {size}"), &[r#"2:8: cache.size: is out of range; write "16 KiB" to "1 TiB""#]);
    }
    bad(
        "[log]\nfilter = 'warn,inffo'",
        &[
            r#"2:10: log.filter: "inffo" is no level; write off, error, warn, info, debug, trace, or whose level it is too, such as hickory_resolver=debug"#,
        ],
    );
    bad(
        "[query_log]\npath = '/var/q'\nkeep = '500d'\njson.to = '/var/q'\ndnstap.to = '/var/q'",
        &[
            "3:8: query_log.keep: keep is longer than keep_sums, and sums are what is left of questions; make keep_sums \
             longer",
            "4:11: query_log.json.to: is a file that is written for something else in [query_log]; write another",
            "5:13: query_log.dnstap.to: is a file that is written for something else in [query_log]; write another",
        ],
    );
    for (to, why) in [
        ("tcp:127.0.0.1", "`tcp:127.0.0.1` has no port; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000"),
        ("unix:", "`unix:` names no socket; write such as unix:/run/collector.sock"),
        ("udp:127.0.0.1:6000", "`udp:` is unknown; write the path of a file, unix:/path/of/socket or tcp:host:port"),
    ] {
        bad(&format!("[query_log.dnstap]\nto = '{to}'"), &[&format!("2:6: query_log.dnstap.to: {why}")]);
    }
    bad(
        "[query_log.clickhouse]\nurl = 'http://127.0.0.1:8123'\ndatabase = 'dns`; DROP'",
        &[r#"3:12: query_log.clickhouse.database: has other characters than letters, digits and "_""#],
    );
    bad(
        "resolve = { ipv4 = false, ipv6 = false }",
        &["1:11: resolve: ipv4 and ipv6 are both false, so no server could be asked; set one to true"],
    );
    bad(
        "[[resolve.forward]]\nzone = 'a..b'\nservers = ['dns.example']\n[[resolve.forward]]\nservers = []",
        &[
            r#"2:8: resolve.forward.zone: "a..b" is not a name: the name has an empty label (two dots in a row, or a leading dot)"#,
            r#"3:12: resolve.forward.servers: "dns.example" is not a server's address; write such as "udp://10.0.0.1" or "tcp://[fd00::1]:5300" (no host name)"#,
            r#"4:1: resolve.forward.zone: a forward needs a zone; write zone = "corp.example", or "." for every name"#,
            r#"5:11: resolve.forward.servers: a forward needs a server; write servers = ["udp://10.0.0.1"]"#,
        ],
    );
    bad(
        "resolve.forward = [{ zone = 'a', servers = ['10.0.0.1'] }, { zone = 'A.', servers = ['10.0.0.2'] }, { zone = 'b' }]",
        &[
            "1:69: resolve.forward.zone: a is forwarded already; put all its servers into one [[resolve.forward]]",
            r#"1:101: resolve.forward.servers: a forward needs a server; write servers = ["udp://10.0.0.1"]"#,
        ],
    );
}

#[test]
fn programs_and_exceptions_are_checked() {
    bad(
        "[[program]]\n[[program]]\nname = 'Mine'\nlists = []\n[[program]]\nname = 'x'\nlists = [{ name = '' }]",
        &[
            r#"1:1: program.name: a program needs a name; write name = "my-program""#,
            r#"1:1: program.lists: a program needs a list; write lists = [{ path = "blocklists/clean-store" }]"#,
            r#"3:8: program.name: "Mine" is not usable as a name; write 1 to 40 lower-case letters, digits, - and _"#,
            r#"4:9: program.lists: a program needs a list; write lists = [{ path = "blocklists/clean-store" }]"#,
            r#"7:10: program.lists.path: a list needs a path or a url; write { path = "blocklists/clean-store" }"#,
            r#"7:19: program.lists.name: "" is not usable as a name; write 1 to 60 octets of text"#,
        ],
    );
    bad(
        "[[program]]\nname = 'clean-store'\nede = 65536\n[[program]]\nname = 'clean-store'",
        &[
            "3:7: program.ede: 65536 is out of range; write 0 to 65535",
            r#"5:8: program.name: there is a program "clean-store" already; put the lists of both into one"#,
        ],
    );
    bad(
        "[[program]]\nname = 'clean-store'\nmode = 'on'\nservices = { '*' = 'of', TikTok = 'off', wechat = 'shadows' }",
        &[
            r#"3:8: program.mode: "on" is not one of "off", "shadow", "enforce"; write one of these"#,
            r#"4:20: program.services.*: "of" is not one of "off", "shadow", "enforce"; write "off""#,
            r#"4:26: program.services.TikTok: "TikTok" is not usable as a name; write 1 to 40 lower-case letters, digits, - and _"#,
            r#"4:51: program.services.wechat: "shadows" is not one of "off", "shadow", "enforce"; write "shadow""#,
        ],
    );
    bad(
        "[[program]]\nname = 'x'\nlists = [{ path = 'blocklists/none', match = 'below', format = 'host' }]\nexceptions = ['']",
        &[
            r#"3:19: program.lists.path: there is no such file or folder; looked for HERE/config/blocklists/none and HERE/blocklists/none"#,
            r#"3:46: program.lists.match: "below" is not one of "exact", "subtree"; write one of these"#,
            r#"3:64: program.lists.format: "host" is not one of "auto", "ours", "domains", "hosts", "wildcard", "adblock", "regex", "rpz", "dnsmasq", "unbound"; write "hosts""#,
            "4:15: program.exceptions: the path is empty; write a file's or folder's path",
        ],
    );
    bad(
        "[[policy.exception]]\nprograms = ['clean-stor', 'other']\nuntil = '31.1.2027'\n[[policy.exception]]\nnames = ['*.a.example', '192.0.2.1']\nuntil = 2027-01-31T00:00:00",
        &[
            r#"1:1: policy.exception.names: an exception needs names or lists; write names = ["example.com"]"#,
            r#"2:13: policy.exception.programs: there is no program "clean-stor"; did you mean "clean-store"?"#,
            r#"2:27: policy.exception.programs: there is no program "other"; there are clean-store, clean-apps, clean-cloud, clean-carrier, clean-path, clean-cable, bypass"#,
            r#"3:9: policy.exception.until: "31.1.2027" is not a day; write year-month-day, such as "2027-01-31""#,
            r#"5:10: policy.exception.names: "*.a.example" needs no star; write "a.example", which means it and all below it"#,
            r#"5:25: policy.exception.names: "192.0.2.1" is an address, not a name; write a name such as "example.com""#,
            r#"6:9: policy.exception.until: "2027-01-31T00:00:00" is not a day; write year-month-day, such as "2027-01-31""#,
        ],
    );
    let program = |index| format!("[[program]]\nname = 'p{index}'\nlists = [{{ path = 'own.list' }}]\n");
    let most: String = (0..32).map(program).collect();
    assert_eq!(good(&most).programs.len(), 32);
    bad(
        &format!("{most}{}{}", program(32), program(33)),
        &[
            "97:1: program: there are more than 32 programs, and each query carries a verdict of each; put lists that share a purpose into one program",
        ],
    );
}

#[test]
fn admin_and_its_token_are_checked() {
    bad(
        "admin.listen = '0.0.0.0:8053'",
        &[
            r#"1:16: admin.listen: 0.0.0.0:8053 can be reached from other machines, and anybody there could use it; set [state] dir, where the start makes a token, or token_file to a file that `cleandns admin token new FILE` makes, or users_file to one that `cleandns admin user add NAME --file FILE` makes, or write listen = "127.0.0.1:8053""#,
        ],
    );
    bad("[admin]\ntls_cert = 'token'", &["1:1: admin.tls_key: tls_cert is set, so its key is needed; set tls_key"]);
    bad(
        "[admin]\ntls_key = 'token'",
        &["1:1: admin.tls_cert: tls_key is set, so its certificate is needed; set tls_cert"],
    );
    bad(
        "[admin]\ntrusted_proxies = ['127.0.0.1']",
        &[
            "2:19: admin.trusted_proxies: requests of others come through a proxy, and anybody could use these pages; set token_file or users_file",
        ],
    );
    bad(
        "[admin]\ntoken_file = 'token'\ntrusted_proxies = ['0.0.0.0/0', 'proxy.example']",
        &[
            "3:20: admin.trusted_proxies: 0.0.0.0/0 is everybody, who could say to be anybody; write the addresses of your proxies",
            r#"3:33: admin.trusted_proxies: "proxy.example" is not a network; write an address and a prefix length, such as "192.168.0.0/16""#,
        ],
    );
    let proxies = good("listen.proxy_protocol_from = ['10.0.0.7', 'fd00::/64']").listen.proxies;
    assert_eq!(proxies, ["10.0.0.7/32".parse().unwrap(), "fd00::/64".parse().unwrap()]);
    bad(
        "[listen]\nproxy_protocol_from = ['::/0', 7]",
        &[
            "2:24: listen.proxy_protocol_from: ::/0 is everybody, who could say to be anybody; write the addresses of your proxies",
            r#"2:32: listen.proxy_protocol_from: expected text in quotes, found a number (7); write "10.0.0.7""#,
        ],
    );
    bad(
        "[admin]\nnames = ['dns.corp.example', 'https://dns.corp.example:8053']",
        &[
            "2:30: admin.names: `https://dns.corp.example:8053` is no host name; write it as in a browser, without scheme and port",
        ],
    );
    bad(
        "[admin]\ntoken_file = 'token'\nread_token_file = 'token'",
        &["3:19: admin.read_token_file: holds the same token as token_file; who shows it could change things too"],
    );
    bad(
        "[admin]\nlisten = '0.0.0.0:80'\nread_token_file = 'token'",
        &[
            r#"2:10: admin.listen: 0.0.0.0:80 can be reached from other machines, and anybody there could use it; set [state] dir, where the start makes a token, or token_file to a file that `cleandns admin token new FILE` makes, or users_file to one that `cleandns admin user add NAME --file FILE` makes, or write listen = "127.0.0.1:80""#,
        ],
    );
    bad(
        "[admin]\nlisten = '[::]:80'\ntoken_file = 'none/token'",
        &[
            "3:14: admin.token_file: there is no such file or folder; looked for HERE/config/none/token and HERE/none/token",
        ],
    );
    bad(
        "[admin]\nread_token_file = 'none'",
        &["2:19: admin.read_token_file: there is no such file or folder; looked for HERE/config/none and HERE/none"],
    );
    bad(
        "state.dir = 'own.list'\nadmin.listen = '0.0.0.0:80'",
        &[
            "1:13: state.dir: HERE/config/own.list is a file; write the path of a folder",
            r#"2:16: admin.listen: 0.0.0.0:80 can be reached from other machines, and anybody there could use it; set [state] dir, where the start makes a token, or token_file to a file that `cleandns admin token new FILE` makes, or users_file to one that `cleandns admin user add NAME --file FILE` makes, or write listen = "127.0.0.1:80""#,
        ],
    );
    bad(
        "state.dir = 'bad-state'\nadmin.listen = '0.0.0.0:80'",
        &[
            "2:1: admin.token_file: HERE/config/bad-state/token holds no token; write one line of letters and digits into it, such as `openssl rand -hex 32` prints",
        ],
    );
    bad(
        "[admin]\nlisten = ''\ntoken_file = 'empty-token'",
        &[
            "3:14: admin.token_file: HERE/config/empty-token holds no token; write one line of letters and digits into it, such as `openssl rand -hex 32` prints",
        ],
    );
    bad(
        "[admin]\nlisten = '0.0.0.0:80'\nread_token_file = 'short-token'\nusers_file = 'token'",
        &[
            "3:19: admin.read_token_file: HERE/config/short-token holds a token of 15 signs, which can be guessed; it needs at least 16: remove the file, and have `cleandns admin token new HERE/config/short-token` make one",
        ],
    );
    bad(
        "[admin]\nlisten = 'x'\ntoken_file = 'blocklists'",
        &[
            r#"2:10: admin.listen: "x" is not an address and a port; write such as "127.0.0.1:53" or "[::1]:53""#,
            "3:14: admin.token_file: HERE/blocklists is a folder; write the path of a file",
        ],
    );
    // Where a token is needed, and which.
    const OWN: Option<&str> = Some("s3cret-of-the-server");
    for (text, file, token) in [
        ("state.dir = 'state'", None, None),
        ("state.dir = 'state'\nadmin.listen = '0.0.0.0:80'", Some("state/token"), OWN),
        ("state.dir = 'new'\nadmin.listen = '0.0.0.0:80'", Some("new/token"), None),
        ("state.dir = 'state'\nadmin = { listen = '0.0.0.0:80', read_token_file = 'token' }", Some("state/token"), OWN),
        ("state.dir = 'new'\nadmin = { listen = '0.0.0.0:80', users_file = 'token' }", None, None),
        ("state.dir = 'new'\nadmin = { listen = '[::]:80', trusted_proxies = ['192.0.2.7'] }", Some("new/token"), None),
        ("state.dir = 'state'\nadmin = { listen = '[::]:80', token_file = 'none' }", Some("none"), None),
        ("admin.token_file = 'none'", Some("none"), None),
        ("admin.token_file = 'token'", Some("token"), Some("s3cret-of-the-owner")),
    ] {
        let (folder, world) = clone();
        let config = read_in(&world, text).unwrap_or_else(|problems| panic!("{text}\n{problems}")).config;
        let (admin, at) = (config.admin.unwrap(), |file| world.current_folder.join("config").join(file));
        assert_eq!((admin.token_file.clone(), admin.token.as_deref()), (file.map(at), token), "{text}");
        assert_eq!(admin.token_to_make().is_some(), file.is_some() && token.is_none(), "{text}");
        assert_eq!(file.is_some(), admin.token_file.is_some_and(|file| config.secrets.contains(&file)), "{text}");
        drop(folder);
    }
    for loopback in ["127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(good(&format!("admin.listen = '{loopback}'")).admin.is_some(), "{loopback}");
    }
}

#[test]
fn unknown_keys_are_errors_with_a_suggestion() {
    bad(
        "[resolv]\nvalidate = true\n[resolve]\nvalidte = true\nDo_Not_Query = []\n[cache]\ncolour = 1",
        &[
            "1:2: resolv: there is no such section; did you mean resolve?",
            "4:1: resolve.validte: there is no such option; did you mean validate?",
            "5:1: resolve.Do_Not_Query: there is no such option; did you mean do_not_query?",
            "7:1: cache.colour: there is no such option; those there are: prefetch, save, size, stale",
        ],
    );
    bad(
        "[[program]]\nname = 'x'\nlists = [{ path = 'own.list', formt = 'auto' }]\n[[policy.exception]]\nname = ['a']",
        &[
            "3:31: program.lists.formt: there is no such option; did you mean format?",
            r#"4:1: policy.exception.names: an exception needs names or lists; write names = ["example.com"]"#,
            "5:1: policy.exception.name: there is no such option; did you mean names?",
        ],
    );
}

#[test]
fn names_of_ones_own() {
    let (_folder, world) = clone();
    write(&world.current_folder.join("config/hosts"), "192.168.1.2 nas\n");
    let text = "[local]\nrecords = ['NAS.lan A 192.168.1.10', \"x.lan. 300 IN TXT \\\"a b\\\"\"]\nhosts = ['hosts']";
    let local = read_in(&world, text).unwrap().config.local;
    let records: Vec<_> = local.records.iter().map(|record| record.to_string().replace('\t', " ")).collect();
    assert_eq!(records, ["nas.lan. 3600 IN A 192.168.1.10", "x.lan. 300 IN TXT \"a b\""]);
    assert_eq!(local.hosts, [world.current_folder.join("config/hosts")]);
    let problems = |records: &[&str]| {
        let records: Vec<_> = records.iter().map(|record| format!("'{record}',")).collect();
        let text = format!("[local]\nrecords = [\n{}]", records.join("\n"));
        match read_in(&world, &text) {
            Ok(_) => String::new(),
            Err(problems) => {
                problems.0.iter().map(|p| format!("{}:{} {}: {};", p.line, p.column, p.option, p.message)).collect()
            }
        }
    };
    for (records, expected) in [
        (&["a.lan. A 192.0.2.1", "a.lan. A 192.0.2.2", "a.lan. TXT x"][..], ""),
        (&["a.lan. CNAME b.lan.", "a.lan. 60 CNAME b.lan.", "*.a.lan. CNAME b.lan."], ""),
        (
            &["a.lan. A 192.0.2.1", "b.lan. A nas", "a.lan."],
            "4:1 local.records: `nas` is no IPv4 address; write one such as 192.0.2.1;5:1 local.records: the type is \
             missing; write owner, type and data, such as `nas.lan. A 192.168.1.10`;",
        ),
        (
            &["a.lan. CNAME b.lan.", "c.lan. A 192.0.2.1", "A.lan. A 192.0.2.1", "c.lan. CNAME x."],
            "5:1 local.records: a.lan has an alias (CNAME), and that goes with no other record; keep one of them;\
             6:1 local.records: c.lan has an alias (CNAME), and that goes with no other record; keep one of them;",
        ),
        (
            &["a.lan. CNAME b.lan.", "a.lan. CNAME c.lan."],
            "4:1 local.records: a.lan has an alias (CNAME), and that goes with no other record; keep one of them;",
        ),
        (
            &["lan. DNAME example.com."],
            "3:1 local.records: DNAME is not read here; write *.lan CNAME, or a record for each name;",
        ),
        (
            &[". A 192.0.2.1"],
            "3:1 local.records: the root can't have records of your own; write a name before the type;",
        ),
    ] {
        assert_eq!(problems(records), expected);
    }
    bad(
        "[local]\nrecords = [1]\nhosts = ['', 'nowhere']",
        &[
            "2:12: local.records: expected text in quotes, found a number (1); write \"nas.lan. A 192.168.1.10\"",
            "3:10: local.hosts: the path is empty; write a file's or folder's path",
            "3:14: local.hosts: there is no such file or folder; looked for HERE/config/nowhere and HERE/nowhere",
        ],
    );
}

#[test]
fn what_is_for_later_versions_is_refused_unless_it_is_the_default() {
    let nothing_yet =
        |default| format!("not yet supported by this version; remove it or leave it at its default ({default})");
    for (option, same, other, default) in [
        ("listen.dot", "[]", "['127.0.0.1:853']", "[]"),
        ("listen.doh", "[]", "['127.0.0.1:443']", "[]"),
        ("listen.doq", "[]", "['127.0.0.1:853']", "[]"),
        ("tls.cert", "''", "'cert.pem'", "\"\""),
        ("tls.key", "''", "'key.pem'", "\"\""),
        ("resolve.negative_trust_anchors", "[]", "['broken.example']", "[]"),
    ] {
        good(&format!("{option} = {same}"));
        let column = option.len() + 4;
        bad(&format!("{option} = {other}"), &[&format!("1:{column}: {option}: {}", nothing_yet(default))]);
    }
    bad(
        "[[resolve.forward]]\nzone = 'x'\nservers = ['tls://9.9.9.9#dns.quad9.net']",
        &[
            "3:12: resolve.forward.servers: tls, https and quic are not yet supported by this version; write udp:// or tcp://",
        ],
    );
}

#[test]
fn broken_text_is_reported_with_everything_else() {
    bad(
        "[resolve]\nvalidate = yes\nipv4 = 4\n[policy]\nmode = shadow\nblock_ttl = 30s\nmode = 'off'\n[cache]\nsize =\nsise = 1",
        &[
            "2:12: yes is not TOML; write true",
            "3:8: resolve.ipv4: expected true or false, found a number (4); write ipv4 = true or ipv4 = false",
            r#"5:8: text stands in quotes; write "shadow""#,
            r#"6:13: text stands in quotes; write "30s""#,
            "7:1: mode is set a second time; keep one of the two",
            "9:7: a value is missing after the =",
            "10:1: cache.sise: there is no such option; did you mean size?",
        ],
    );
    // What can't be read may have been the name and the list: neither is said to be missing.
    bad(
        "[[program]]\nname x\n\n[[program]]\nservices = { tiktok = off }",
        &[
            "2:6: a line needs an =; write it as option = value",
            r#"5:23: off is not TOML; write false, or "off" where a word is meant"#,
        ],
    );
    bad(
        "[log]\njson: true\nfilter debug\nqueries = 1",
        &[
            "2:7: a line needs an =; write it as option = value",
            "3:8: a line needs an =; write it as option = value",
            "4:11: log.queries: expected true or false, found a number (1); write queries = true or queries = false",
        ],
    );
    bad(
        "[cache]\nsize = 1.5\n[listen]\ndo53 = ['127.0.0.1:53'\nworkers = 'x'\n[log]\njson = yes",
        &[
            r#"2:8: cache.size: expected text in quotes, found a number (1.5); write size = "128 MiB""#,
            "5:1: a [ or { before this is never closed; write its ] or }",
        ],
    );
    bad(
        "[log\njson = 1\n[cache]\nsize = true",
        &[
            "1:5: unclosed table, expected `]`",
            r#"4:8: cache.size: expected text in quotes, found true; write size = "128 MiB""#,
        ],
    );
    bad(
        "[[program]\nname = 1\n[cache]\nsise = 1",
        &["1:11: unclosed array table, expected `]`", "4:1: cache.sise: there is no such option; did you mean size?"],
    );
}

#[test]
fn a_large_file_of_something_else_is_refused_soon() {
    let (_folder, world) = clone();
    for line in
        ["0.0.0.0 ads.example\n", "||ads.example^\n", "x = 1h\n", "ads = 1\n", "[", "x = {", "\"\n", "a.b.c.d=x\n"]
    {
        let text = line.repeat(100_000 / line.len());
        let problems = read_in(&world, &text).unwrap_err();
        assert!(problems.0.len() <= 101, "{line}: {}", problems.0.len());
    }
}

#[test]
fn damaged_text_never_panics() {
    let (_folder, world) = clone();
    for at in TEMPLATE.char_indices().map(|(at, _)| at).step_by(61) {
        // Cut short, or with something odd in the middle; either may be fine or not.
        for odd in ["", "\"", "[", "{ö", "=", "'''", "\\", "\n[[", "\u{0}é"] {
            let rest = if odd.is_empty() { "" } else { &TEMPLATE[at..] };
            let _ = read_in(&world, &format!("{}{odd}{rest}", &TEMPLATE[..at]));
        }
    }
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let (_folder, world) = clone();
    let warnings = |text: &str| -> Vec<String> {
        read_in(&world, text).unwrap().warnings.iter().map(ToString::to_string).collect()
    };
    let tool = "answers anybody on the Internet who can reach this server, and makes it a tool for attacks on others; write the networks of your clients";
    assert_eq!(
        warnings("access.allow = ['10.0.0.0/8', '0.0.0.0/0', '::/0']"),
        [
            format!("config/c.toml:1:31: access.allow: 0.0.0.0/0 {tool}"),
            format!("config/c.toml:1:44: access.allow: ::/0 {tool}"),
        ]
    );
    assert_eq!(warnings("access = { allow = ['0.0.0.0/0'], i_know_this_is_open = true }"), [""; 0]);
    assert!(warnings("access.allow = []")[0].contains("answers nobody"));
    assert!(warnings("[[policy.exception]]\nnames = ['.']")[0].contains("passes every name"));
    assert_eq!(warnings("[[policy.exception]]\nnames = ['=.']"), [""; 0]);
}

/// An open resolver is one by decision, and not by mistake.
#[test]
fn an_open_resolver_needs_a_word() {
    let open = "[listen]\ndo53 = ['[::1]:53', '0.0.0.0:53']\n[access]\nallow = ['10.0.0.0/8', '0.0.0.0/0']\n";
    let told = "4:9: access.allow: strangers all over the Internet would be answered: 0.0.0.0:53 is all addresses of this \
                machine, and [access] allow has more IPv4 networks than one owner can have. Such servers are used to attack \
                others. Write the networks of your own clients, or listen on an inner address alone; if it is meant to be \
                open, write i_know_this_is_open = true in [access]";
    bad(open, &[told]);
    assert!(good(&format!("{open}i_know_this_is_open = true\n")).open);
    // The networks of homes and companies, and public ones of one's own, are normal everywhere.
    good("listen.do53 = ['0.0.0.0:53', '[::]:53']");
    good("[listen]\ndo53 = ['198.41.0.4:53']\n[access]\nallow = ['198.41.0.0/16', '2001:500::/32']\n");
}
