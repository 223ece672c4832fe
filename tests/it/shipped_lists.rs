//! The lists that come with the program: well-formed, said where they come from, blocking what they are for and
//! nothing that others need.

mod what_if;

use cleandns::{
    app,
    config::{self, World},
    dns::{Name, RrType},
    embedded,
    lists::{Lists, Published},
    policy::{
        Asking, Cause, Client, Effect, Matcher, Mode, Outcome, Policy, ProgramVerdict, Rule, Scope, Verdict,
        parse::{Format, Options, Parsed, parse},
    },
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The services that block as the program comes, by program. All others wait for the owner's word.
const ENFORCED: [(&str, &[&str]); 2] = [
    ("clean-apps", &["honor", "huawei-appgallery", "huawei-hms", "oppo-heytap", "vivo", "xiaomi-getapps"]),
    ("clean-store", &["bytedance-shared", "capcut", "lemon8", "tiktok", "wechat"]),
];

/// The programs that come in shadow: they count, and block nothing.
const IN_SHADOW: [&str; 5] = ["bypass", "clean-cable", "clean-carrier", "clean-cloud", "clean-path"];

/// A folder that is no program until the owner's configuration makes it one, and then measures. See `what_if`.
const ON_REQUEST: &str = "what-if";

/// Names that must be blocked, and by which service.
const BLOCKED: [(&str, &str); 62] = [
    ("tiktok.com", "tiktok"),
    ("www.tiktok.com", "tiktok"),
    ("m.tiktok.com", "tiktok"),
    ("vm.tiktok.com", "tiktok"),
    ("analytics.tiktok.com", "tiktok"),
    ("open.tiktokapis.com", "tiktok"),
    ("api.tiktokv.com", "tiktok"),
    ("api16-normal-c-useast1a.tiktokv.com", "tiktok"),
    ("api22-core-c-alisg.tiktokv.com", "tiktok"),
    ("log.tiktokv.us", "tiktok"),
    ("mon.tiktokv.eu", "tiktok"),
    ("p16.tiktokcdn.com", "tiktok"),
    ("p16-sign-va.tiktokcdn.com", "tiktok"),
    ("v16m.tiktokcdn-us.com", "tiktok"),
    ("v16-webapp.tiktokcdn-eu.com", "tiktok"),
    ("lf16-tiktok-web.ttwstatic.com", "tiktok"),
    ("www.musical.ly", "tiktok"),
    ("www.tiktokshop.com", "tiktok"),
    ("v16m.muscdn.com", "tiktok"),
    ("p16-tiktokcdn-com.akamaized.net", "tiktok"),
    ("www.tiktok.com.edgesuite.net", "tiktok"),
    ("www.bytedance.com", "bytedance-shared"),
    ("api.byteoversea.com", "bytedance-shared"),
    ("sf16-sg.ibytedtos.com", "bytedance-shared"),
    ("log.snssdk.com", "bytedance-shared"),
    ("api.isnssdk.com", "bytedance-shared"),
    ("s16.ipstatp.com", "bytedance-shared"),
    ("www.byteintl.net", "bytedance-shared"),
    ("www.capcut.com", "capcut"),
    ("api.capcut.com", "capcut"),
    ("edit-api-sg.capcutapi.com", "capcut"),
    ("www.jianying.com", "capcut"),
    ("lemon8-app.com", "lemon8"),
    ("www.lemon8-app.com", "lemon8"),
    ("wechat.com", "wechat"),
    ("www.wechat.com", "wechat"),
    ("short.wechat.com", "wechat"),
    ("sgshort.wechat.com", "wechat"),
    ("long.weixin.qq.com", "wechat"),
    ("api.weixin.qq.com", "wechat"),
    ("mp.weixin.qq.com", "wechat"),
    ("dns.weixin.qq.com", "wechat"),
    ("wx.qq.com", "wechat"),
    ("servicewechat.com", "wechat"),
    ("api.mch.tenpay.com", "wechat"),
    ("appgallery.huawei.com", "huawei-appgallery"),
    ("appgallery.cloud.huawei.com", "huawei-appgallery"),
    ("store.hispace.hicloud.com", "huawei-appgallery"),
    ("store-dre.hispace.dbankcloud.com", "huawei-appgallery"),
    ("grs.dbankcloud.com", "huawei-hms"),
    ("push.hicloud.com", "huawei-hms"),
    ("www.vmall.com", "huawei-hms"),
    ("app.mi.com", "xiaomi-getapps"),
    ("global.market.xiaomi.com", "xiaomi-getapps"),
    ("store.heytapmobi.com", "oppo-heytap"),
    ("id.heytap.com", "oppo-heytap"),
    ("www.oppo.com", "oppo-heytap"),
    ("www.realme.com", "oppo-heytap"),
    ("appstore.vivo.com.cn", "vivo"),
    ("www.vivoglobal.com", "vivo"),
    ("www.hihonor.com", "honor"),
    ("appmarket.hihonorcloud.com", "honor"),
];

/// Names that would be blocked if the program enforced: program, name, service.
const SHADOWED: [(&str, &str, &str); 32] = [
    ("clean-cloud", "www.alibabacloud.com", "alibaba-cloud"),
    ("clean-cloud", "ecs.console.aliyun.com", "alibaba-cloud"),
    ("clean-cloud", "my-bucket.oss-us-west-1.aliyuncs.com", "alibaba-cloud-hosting"),
    ("clean-cloud", "example.com.w.kunluncan.com", "alibaba-cloud-hosting"),
    ("clean-cloud", "console.bce.baidu.com", "baidu-cloud"),
    ("clean-cloud", "my-bucket.bj.bcebos.com", "baidu-cloud-hosting"),
    ("clean-cloud", "ecloud.10086.cn", "china-mobile-cloud"),
    ("clean-cloud", "eos-wuxi-1.cmecloud.cn", "china-mobile-cloud-hosting"),
    ("clean-cloud", "www.ctyun.cn", "china-telecom-cloud"),
    ("clean-cloud", "www.dnspod.cn", "dnspod"),
    ("clean-cloud", "console.huaweicloud.com", "huawei-cloud"),
    ("clean-cloud", "obs.la-south-2.myhuaweicloud.com", "huawei-cloud-hosting"),
    ("clean-cloud", "console.cloud.tencent.com", "tencent-cloud"),
    ("clean-cloud", "my-1250000000.cos.ap-singapore.myqcloud.com", "tencent-cloud-hosting"),
    ("clean-cloud", "www.volcengine.com", "volcengine-byteplus"),
    ("clean-cloud", "open.byteplusapi.com", "volcengine-byteplus-hosting"),
    ("clean-carrier", "www.chinatelecomglobal.com", "china-telecom"),
    ("clean-carrier", "www.chinaunicom.com", "china-unicom"),
    ("clean-carrier", "www.10086.cn", "china-mobile"),
    ("clean-path", "api.hik-connect.com", "hikvision"),
    ("clean-path", "www.hikvision.com", "hikvision-corporate"),
    ("clean-path", "www.easy4ipcloud.com", "dahua"),
    ("clean-path", "www.zte.com.cn", "zte"),
    ("clean-path", "support.huawei.com", "huawei-corporate"),
    ("clean-path", "www.hytera.com", "hytera"),
    ("clean-cable", "www.huaweimarine.com", "hmn-tech"),
    ("bypass", "use-application-dns.net", "firefox-canary"),
    ("bypass", "mask-h2.icloud.com", "private-relay"),
    ("bypass", "mozilla.cloudflare-dns.com", "public-doh"),
    ("bypass", "doh.pub", "public-doh-cn"),
    ("bypass", "dns.weixin.qq.com", "wechat-httpdns"),
    ("bypass", "ttnet-doh.feishu.cn", "bytedance-httpdns"),
];

/// Names that the exceptions shipped let pass, also of programs in shadow.
const SHADOW_EXCEPTED: [(&str, &str); 6] = [
    ("clean-cloud", "ntp.aliyun.com"),
    ("clean-cloud", "registry.aliyuncs.com"),
    ("clean-cloud", "time1.cloud.tencent.com"),
    ("clean-cloud", "mirrors.huaweicloud.com"),
    ("clean-cloud", "turing.captcha.qcloud.com"),
    ("clean-path", "connectivitycheck.cbg-app.huawei.com"),
];

/// Names that the exceptions shipped let pass, whatever else blocks around them.
const EXCEPTED: [&str; 12] = [
    "open.weixin.qq.com",
    "byteimg.com",
    "p3.ibyteimg.com",
    "connectivitycheck.platform.hicloud.com",
    "connectivitycheck.platform.hihonorcloud.com",
    "conn1.coloros.com",
    "wifi.vivo.com.cn",
    "connect.rom.miui.com",
    "query.hicloud.com",
    "update.dbankcdn.com",
    "sysupgrade.vivo.com.cn",
    "account.xiaomi.com",
];

struct Shipped {
    program: String,
    path: PathBuf,
    text: String,
    parsed: Parsed,
}

impl Shipped {
    fn stem(&self) -> &str {
        self.path.file_stem().unwrap().to_str().unwrap()
    }

    fn rules(&self) -> impl Iterator<Item = Rule> {
        self.parsed.rules.iter().map(|(_, rule)| rule.unpack())
    }

    /// The rules on names, in the order of their lines.
    fn names(&self) -> impl Iterator<Item = OnName> {
        self.rules().filter_map(|rule| match rule.matcher {
            Matcher::Name { scope, name } => Some(OnName { effect: rule.effect, scope, name, line: rule.line }),
            _ => None,
        })
    }

    fn place(&self, line: u32) -> String {
        format!("{}:{line}", self.path.display())
    }
}

/// A rule on a name.
struct OnName {
    effect: Effect,
    scope: Scope,
    name: Name,
    line: u32,
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Every file below `blocklists/`, READMEs apart.
fn shipped() -> Vec<Shipped> {
    let mut all = Vec::new();
    for program in sorted(&project().join("blocklists")).into_iter().filter(|path| path.is_dir()) {
        for path in sorted(&program) {
            if path.file_name().unwrap().to_str().unwrap().starts_with("README") {
                continue;
            }
            assert_eq!(path.extension().unwrap(), "list", "{}", path.display());
            let text = fs::read_to_string(&path).unwrap();
            let parsed = parse(text.as_bytes(), &Options::default());
            let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let program = program.file_name().unwrap().to_str().unwrap().to_owned();
            all.push(Shipped { program, path, text, parsed });
        }
    }
    assert!(all.len() > 30, "{}", all.len());
    all
}

/// Those that the shipped configuration uses.
fn in_programs() -> Vec<Shipped> {
    shipped().into_iter().filter(|list| list.program != ON_REQUEST).collect()
}

/// The policy that the shipped configuration makes.
fn published() -> Arc<Published> {
    published_by(&project().join("config/cleandns.toml"))
}

/// The policy that a configuration makes.
fn published_by(file: &Path) -> Arc<Published> {
    let paths = || embedded::paths().into_iter().map(Cow::Owned).collect();
    let embedded = config::Embedded { read: &embedded::read, paths: &paths };
    let world = World::of_process(embedded).unwrap();
    let mut config = config::load(Some(file), &world).unwrap().config;
    config.state_dir = None;
    Lists::load(Arc::new(config), app::embedded_files(), app::Outside::real().chance()).unwrap().published()
}

fn ask(policy: &Policy, name: &Name) -> Verdict {
    let client = Client { address: [127, 0, 0, 1].into(), id: None, mac: None, tcp: false, group: None };
    policy.on_question(&Asking { name, rr_type: RrType::A, client, now: 1_800_000_000, pauses: &[] })
}

fn place(policy: &Policy, cause: &Cause) -> String {
    let list = &policy.lists()[cause.list()];
    format!("{}/{} {}:{}", policy.programs()[list.program().unwrap()].name, list.service, list.name, cause.line)
}

fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// All at once, since a list has many lines.
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_line_is_a_rule() {
    for list in shipped() {
        assert_eq!(list.parsed.format, Format::Ours, "{}", list.path.display());
        assert_eq!(list.parsed.skipped.first, [], "{}", list.path.display());
        assert!(list.text.is_ascii(), "{}", list.path.display());
        assert!(list.text.ends_with('\n') && !list.text.contains('\r'), "{}", list.path.display());
    }
}

#[test]
fn every_header_tells_what_it_is() {
    let known = ["service", "title", "default", "runs", "breaks", "sources", "updated", "since", "note"];
    for list in shipped() {
        let (header, file) = (&list.parsed.header, list.path.display());
        assert_eq!(header.service.as_deref(), Some(list.stem()), "{file}");
        for key in ["title", "runs", "breaks", "sources", "updated", "since"] {
            let mut values = header.fields.iter().filter(|(own, _)| own == key);
            assert!(values.next().is_some_and(|(_, value)| value.len() > 2), "{file}: no {key}");
            assert!(values.next().is_none(), "{file}: {key} twice");
        }
        for (key, _) in &header.fields {
            assert!(known.contains(&key.as_str()), "{file}: {key}");
        }
        // A list that is new, or whose rules change, says when: by that people see whether anybody looks after it.
        let day = header.fields.iter().find(|(own, _)| own == "updated").map(|(_, value)| value.as_str());
        assert!(
            day.is_some_and(|day| ("2026-11-23".."2100").contains(&day)) && header.updated.is_some(),
            "{file}: {day:?}"
        );
        // What a person reads first: the header stands before the rules.
        let first_rule = list.rules().map(|rule| rule.line).min().unwrap();
        let last_header =
            list.text.lines().enumerate().filter(|(_, line)| line.starts_with("#:")).last().unwrap().0 + 1;
        assert!(last_header < first_rule as usize, "{file}: a header line after the first rule");
    }
}

/// `sources: 147 rules; …`
#[test]
fn headers_count_their_rules_right() {
    let mut faults = Vec::new();
    for list in shipped() {
        let blocks = list.rules().filter(|rule| rule.effect == Effect::Block).count();
        let (_, sources) = list.parsed.header.fields.iter().find(|(key, _)| key == "sources").unwrap();
        let said = sources.split(' ').next().unwrap();
        if said.parse() != Ok(blocks) {
            faults.push(format!("{}: says {said} rules, has {blocks}", list.path.display()));
        }
    }
    none(&faults);
}

#[test]
fn every_exception_has_a_reason() {
    let mut faults = Vec::new();
    for list in shipped() {
        for (index, line) in list.text.lines().enumerate().filter(|(_, line)| line.starts_with('@')) {
            if line.split_once(" # ").is_none_or(|(_, reason)| reason.trim().is_empty()) {
                faults.push(format!("{}: {line}", list.place(index as u32 + 1)));
            }
        }
    }
    none(&faults);
}

/// No name is blocked twice by one program, so that there is one place to change. Exceptions may be: each service
/// brings its own, because the other may be off.
#[test]
fn no_rule_stands_twice_in_a_program() {
    let mut faults = Vec::new();
    let mut blocks = BTreeMap::new();
    let mut exceptions = BTreeMap::new();
    for list in shipped() {
        for rule in list.rules() {
            let place = list.place(rule.line);
            let text = rule.to_string();
            let text = text.trim_start_matches(['@', '=']).to_owned();
            let before = match rule.effect {
                Effect::Block => blocks.insert((list.program.clone(), text.clone()), place.clone()),
                Effect::Except => {
                    let key = (list.path.clone(), rule.to_string());
                    exceptions.insert(key, place.clone())
                }
            };
            faults.extend(before.map(|before| format!("{text}: {before} and {place}")));
        }
    }
    none(&faults);
}

/// A rule below another rule of its own list never decides anything.
#[test]
fn no_rule_is_idle() {
    let mut faults = Vec::new();
    for list in shipped() {
        let rules: Vec<OnName> = list.names().collect();
        for rule in &rules {
            let covers = |other: &&OnName| {
                other.line != rule.line
                    && other.effect == rule.effect
                    && other.scope == Scope::Subtree
                    && rule.name.is_at_or_below(&other.name)
            };
            if let Some(other) = rules.iter().find(covers) {
                faults.push(format!("{}: {} is below {}", list.place(rule.line), rule.name, other.name));
            }
        }
    }
    none(&faults);
}

/// A name that a cloud hands to customers may be one in the list's private part: that is what it is listed for.
#[test]
fn no_rule_is_a_public_suffix() {
    let mut faults = Vec::new();
    for list in shipped() {
        for rule in list.names().filter(|rule| rule.effect == Effect::Block) {
            let name = rule.name.to_string();
            let suffix = psl::suffix(name.as_bytes()).filter(|suffix| suffix.as_bytes() == name.as_bytes());
            let of_customers = |suffix: &psl::Suffix<'_>| {
                list.stem().ends_with("-hosting") && suffix.typ() == Some(psl::Type::Private)
            };
            if rule.name.label_count() < 2 || suffix.is_some_and(|suffix| !of_customers(&suffix)) {
                faults.push(format!("{}: {name}", list.place(rule.line)));
            }
        }
    }
    none(&faults);
}

#[test]
fn services_are_on_or_off_as_said() {
    let published = published();
    let status = published.status.load();
    assert_eq!(status.unknown_services, Vec::<String>::new());
    let mut enforced: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for list in &status.lists {
        assert_eq!(
            (list.trouble.as_deref(), list.skipped.count, list.held.count, list.warned.count),
            (None, 0, 0, 0),
            "{}",
            list.path
        );
        match list.mode {
            Mode::Enforce => drop(enforced.entry(&list.program).or_default().insert(&list.service)),
            Mode::Shadow => assert!(IN_SHADOW.contains(&list.program.as_str()), "{}", list.path),
            // What is off says so itself: no owner's setting is needed for it.
            mode => assert_eq!((mode, list.header.default), (Mode::Off, Some(Mode::Off)), "{}", list.path),
        }
    }
    let expected = ENFORCED.iter().map(|(program, services)| (*program, services.iter().copied().collect()));
    assert_eq!(enforced, expected.collect());
    assert_eq!(status.lists.len(), in_programs().len(), "the shipped configuration uses every shipped list");
}

#[test]
fn what_must_be_blocked_is() {
    let published = published();
    let policy = published.policy.load_full().unwrap();
    let mut faults = Vec::new();
    for (text, service) in BLOCKED {
        let verdict = ask(&policy, &name(text));
        let by = verdict.block().map(|said| policy.lists()[said.cause.list()].service.as_str());
        if by != Some(service) {
            faults.push(format!("{text}: by {by:?}, not by {service}"));
        }
    }
    none(&faults);
    for (_, services) in ENFORCED {
        for service in services {
            assert!(BLOCKED.iter().any(|(_, own)| own == service), "nothing here is blocked by {service}");
        }
    }
}

#[test]
fn what_shadow_should_see_it_sees() {
    let published = published();
    let policy = published.policy.load_full().unwrap();
    let mut faults = Vec::new();
    for (program, text, service) in SHADOWED {
        let verdict = ask(&policy, &name(text));
        let of_program = |said: &&ProgramVerdict| policy.programs()[usize::from(said.program)].name == program;
        let by = verdict.programs.iter().find(of_program).map(|said| {
            assert_eq!(said.outcome, Outcome::WouldBlock, "{text}: {said:?}");
            policy.lists()[said.cause.list()].service.as_str()
        });
        if by != Some(service) {
            faults.push(format!("{text}: by {by:?} of {program}, not by {service}"));
        }
    }
    for (program, text) in SHADOW_EXCEPTED {
        let verdict = ask(&policy, &name(text));
        let of_program = |said: &&ProgramVerdict| policy.programs()[usize::from(said.program)].name == program;
        if verdict.programs.iter().find(of_program).map(|said| said.outcome) != Some(Outcome::Except) {
            faults.push(format!("{text}: no exception of {program}"));
        }
    }
    none(&faults);
    for program in IN_SHADOW {
        assert!(SHADOWED.iter().any(|(own, ..)| *own == program), "nothing here is of {program}");
    }
}

#[test]
fn what_must_not_be_blocked_is_not() {
    let published = published();
    let policy = published.policy.load_full().unwrap();
    let table = fs::read_to_string(project().join("tests/data/must-not-block.csv")).unwrap();
    let names: Vec<&str> = table.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert!(names.len() > 600, "{}", names.len());
    let mut faults = Vec::new();
    for text in names {
        if let Some(said) = ask(&policy, &name(text)).block() {
            faults.push(format!("{text}: blocked by {}", place(&policy, &said.cause)));
        }
    }
    none(&faults);
}

#[test]
fn exceptions_hold() {
    let published = published();
    let policy = published.policy.load_full().unwrap();
    for text in EXCEPTED {
        let verdict = ask(&policy, &name(text));
        assert!(verdict.block().is_none(), "{text}: {verdict:?}");
        assert!(!verdict.programs.is_empty(), "{text}: no exception of it");
    }
}

/// An exception passes one program alone: no other may block the name, or it would be of no use.
#[test]
fn every_exception_passes() {
    let published = published();
    let policy = published.policy.load_full().unwrap();
    let mut faults = Vec::new();
    for list in shipped() {
        for rule in list.names().filter(|rule| rule.effect == Effect::Except) {
            if let Some(said) = ask(&policy, &rule.name).block() {
                faults.push(format!(
                    "{}: {} is blocked by {}",
                    list.place(rule.line),
                    rule.name,
                    place(&policy, &said.cause)
                ));
            }
        }
    }
    none(&faults);
}

#[test]
fn the_configuration_names_every_program() {
    let text = fs::read_to_string(project().join("config/cleandns.toml")).unwrap();
    let programs: BTreeSet<String> = in_programs().into_iter().map(|list| list.program).collect();
    for program in programs {
        assert!(text.lines().any(|line| line == format!("name = \"{program}\"")), "{program}");
        assert!(text.contains(&format!("path = \"blocklists/{program}\"")), "{program}");
    }
}

#[test]
fn the_copies_inside_the_binary_are_the_files() {
    for list in shipped() {
        let path = list.path.strip_prefix(project()).unwrap().to_str().unwrap();
        assert_eq!(embedded::read(path).as_deref(), Some(list.text.as_bytes()), "{path}");
    }
    let embedded: BTreeSet<String> = embedded::paths().into_iter().filter(|path| path.ends_with(".list")).collect();
    assert_eq!(embedded.len(), shipped().len());
}
