//! The lists about other vendors: never in force by themselves, and never more than a measure.

use super::*;

/// Names that would be blocked, and by which service. Each service in shadow that has names stands here.
const WOULD_BLOCK: [(&str, &str); 48] = [
    ("apps.apple.com", "apple-app-store"),
    ("buy.itunes.apple.com", "apple-app-store"),
    ("is1-ssl.mzstatic.com", "apple-app-store"),
    ("appleid.apple.com", "apple-services"),
    ("p42-contacts.icloud.com", "apple-services"),
    ("courier.push.apple.com", "apple-services"),
    ("17-courier.push.apple.com", "apple-services"),
    ("init.ess.apple.com", "apple-services"),
    ("music.apple.com", "apple-media"),
    ("gsp-ssl.ls.apple.com", "apple-phone-home"),
    ("api.smoot.apple.com", "apple-phone-home"),
    ("apple.com", "apple-corporate"),
    ("support.apple.com", "apple-corporate"),
    ("play.google.com", "google-play"),
    ("play.googleapis.com", "google-play"),
    ("www.google.com", "google-search"),
    ("www.google.de", "google-search"),
    ("www.google.co.jp", "google-search"),
    ("accounts.google.com", "google-services"),
    ("mail.google.com", "google-services"),
    ("maps.google.com", "google-maps"),
    ("maps.googleapis.com", "google-maps"),
    ("www.youtube.com", "youtube"),
    ("rr5---sn-4g5ednsz.googlevideo.com", "youtube"),
    ("mtalk.google.com", "android-phone-home"),
    ("alt8-mtalk.google.com", "android-phone-home"),
    ("fcm.googleapis.com", "android-phone-home"),
    ("console.cloud.google.com", "google-cloud"),
    ("my-project.appspot.com", "google-cloud-hosting"),
    ("storage.googleapis.com", "google-cloud-hosting"),
    ("fiber.google.com", "google-carrier"),
    ("frontdoor.nest.com", "google-nest"),
    ("blog.google", "google-corporate"),
    ("www.facebook.com", "facebook"),
    ("fb.me", "facebook"),
    ("www.instagram.com", "instagram"),
    ("scontent.cdninstagram.com", "instagram"),
    ("www.threads.com", "threads"),
    ("mmg.whatsapp.net", "whatsapp"),
    ("wa.me", "whatsapp"),
    ("www.messenger.com", "messenger"),
    ("scontent.xx.fbcdn.net", "meta-shared"),
    ("graph.oculus.com", "meta-quest"),
    ("x.com", "twitter-x"),
    ("api.x.com", "twitter-x"),
    ("twitter.com", "twitter-x"),
    ("pbs.twimg.com", "twitter-x"),
    ("t.co", "twitter-x"),
];

/// Names that pass: other companies', look-alikes, what keeps devices running, what waits to be switched on.
const PASS: [&str; 53] = [
    "example.com",
    "www.wikipedia.org",
    "www.microsoft.com",
    "www.amazon.com",
    "s3.amazonaws.com",
    "github.com",
    "cloudflare.com",
    "www.tiktok.com",
    "www.wechat.com",
    "appgallery.huawei.com",
    "notfacebook.com",
    "facebook.com.example.org",
    "xx.com",
    "netflix.com",
    "akamaiedge.net",
    "www.apple.com",
    "captive.apple.com",
    "time.apple.com",
    "albert.apple.com",
    "deviceenrollment.apple.com",
    "api.push.apple.com",
    "icloud.com",
    "gateway.icloud.com",
    "gmail.com",
    "swcdn.apple.com",
    "gdmf.apple.com",
    "updates.cdn-apple.com",
    "ocsp.apple.com",
    "valid.apple.com",
    "captive.g.aaplimg.com",
    "cdn.apple-mapkit.com",
    "connectivitycheck.gstatic.com",
    "connectivitycheck.android.com",
    "clients3.google.com",
    "time.google.com",
    "time.android.com",
    "dl.google.com",
    "update.googleapis.com",
    "redirector.gvt1.com",
    "pki.goog",
    "o.pki.goog",
    "safebrowsing.googleapis.com",
    "dns.google",
    "fonts.googleapis.com",
    "fonts.gstatic.com",
    "www.gstatic.com",
    "ajax.googleapis.com",
    "www.recaptcha.net",
    "www.google-analytics.com",
    "time.nest.com",
    "time.facebook.com",
    "huawei.facebook.com",
    "connect.facebook.net",
];

fn lists() -> Vec<Shipped> {
    shipped().into_iter().filter(|list| list.program == ON_REQUEST).collect()
}

/// The folder as a program of an owner's configuration.
fn published_with(options: &str) -> Arc<Published> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cleandns.toml");
    let lists = project().join("blocklists").join(ON_REQUEST);
    let text = format!("[[program]]\nname = 'what-if'\nlists = [{{ path = '{}' }}]\n{options}\n", lists.display());
    fs::write(&file, text).unwrap();
    published_by(&file)
}

#[test]
fn no_shipped_program_uses_it() {
    let published = published();
    assert!(lists().len() > 30, "{}", lists().len());
    for list in &published.status.load().lists {
        assert!(!list.path.to_string().contains(ON_REQUEST), "{}", list.path);
    }
    for program in published.policy.load_full().unwrap().programs() {
        assert_ne!(program.name, ON_REQUEST);
    }
}

/// Whatever the program says of all its services.
#[test]
fn no_list_enforces() {
    for list in lists() {
        let default = list.parsed.header.default;
        assert!(matches!(default, Some(Mode::Shadow | Mode::Off)), "{}: {default:?}", list.path.display());
    }
    for options in ["mode = 'enforce'", "mode = 'enforce'\nservices = { '*' = 'enforce' }"] {
        let published = published_with(options);
        let status = published.status.load();
        assert_eq!(status.lists.len(), lists().len());
        for list in &status.lists {
            assert_eq!(Some(list.mode), list.header.default, "{}", list.path);
            assert_eq!(
                (list.trouble.as_deref(), list.skipped.count, list.held.count, list.warned.count),
                (None, 0, 0, 0),
                "{}: {:?}",
                list.path,
                list.warned
            );
        }
        let policy = published.policy.load_full().unwrap();
        for (text, _) in WOULD_BLOCK {
            assert!(ask(&policy, &name(text)).block().is_none(), "{text}");
        }
    }
}

#[test]
fn what_it_should_see_it_sees() {
    let policy = published_with("mode = 'shadow'").policy.load_full().unwrap();
    let mut faults = Vec::new();
    for (text, service) in WOULD_BLOCK {
        let verdict = ask(&policy, &name(text));
        let said = verdict.programs.first();
        let by = said.map(|said| (said.outcome, policy.lists()[said.cause.list()].service.as_str()));
        if by != Some((Outcome::WouldBlock, service)) {
            faults.push(format!("{text}: {by:?}, not would-block by {service}"));
        }
    }
    for text in PASS {
        let verdict = ask(&policy, &name(text));
        if let Some(said) = verdict.programs.iter().find(|said| said.outcome != Outcome::Except) {
            faults.push(format!("{text}: {:?} by {}", said.outcome, place(&policy, &said.cause)));
        }
    }
    none(&faults);
    for list in lists() {
        let in_shadow = list.parsed.header.default == Some(Mode::Shadow) && list.names().next().is_some();
        let is_there = WOULD_BLOCK.iter().any(|(_, service)| *service == list.stem());
        assert_eq!(in_shadow, is_there, "{}", list.path.display());
    }
}

/// What is measured here and what the shipped programs hold can be told apart by name.
#[test]
fn it_shares_no_rule_with_the_programs() {
    let others: Vec<Shipped> = in_programs().into_iter().filter(|list| list.program.starts_with("clean-")).collect();
    let blocks = |rule: &Rule| rule.effect == Effect::Block;
    let texts: BTreeMap<String, String> = others
        .iter()
        .flat_map(|list| list.rules().filter(blocks).map(|rule| (rule.to_string(), list.place(rule.line))))
        .collect();
    let on_names = |list: &Shipped| -> Vec<(Name, String)> {
        let blocks = list.names().filter(|rule| rule.effect == Effect::Block);
        blocks.map(|rule| (rule.name, list.place(rule.line))).collect()
    };
    let names: Vec<(Name, String)> = others.iter().flat_map(on_names).collect();
    let mut faults = Vec::new();
    for list in lists() {
        for rule in list.rules().filter(blocks) {
            faults.extend(texts.get(&rule.to_string()).map(|other| format!("{}: {other}", list.place(rule.line))));
        }
        for (name, place) in on_names(&list) {
            for (other, other_place) in &names {
                if other.is_at_or_below(&name) || name.is_at_or_below(other) {
                    faults.push(format!("{place}: {name}; {other_place}: {other}"));
                }
            }
        }
    }
    none(&faults);
}

/// A table in the README, a line for each list: service, what, default, rules.
#[test]
fn its_readme_lists_every_list() {
    let text = fs::read_to_string(project().join("blocklists").join(ON_REQUEST).join("README.md")).unwrap();
    for list in lists() {
        let of_key = |key: &str| list.parsed.header.fields.iter().find(|(own, _)| own == key).unwrap().1.clone();
        let default = match list.parsed.header.default {
            Some(Mode::Off) => "off",
            _ => "shadow",
        };
        let blocks = list.rules().filter(|rule| rule.effect == Effect::Block).count();
        let line = format!("| {} | {} | {default} | {blocks} |", list.stem(), of_key("title"));
        assert!(text.lines().any(|own| own == line), "{line}");
    }
}
