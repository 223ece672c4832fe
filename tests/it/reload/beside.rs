//! Lists are loaded beside the answers: who loads them makes way for who answers.

use super::*;

/// The niceness of this process's threads whose name begins so.
fn nicenesses(name: &str) -> Vec<i64> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path());
    let of_task = |task: PathBuf| {
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        let (before, after) = stat.rsplit_once(") ")?;
        let (_, own_name) = before.split_once(" (")?;
        // The nineteenth field of the file, of which two are before.
        own_name.starts_with(name).then(|| after.split(' ').nth(16)?.parse().ok())?
    };
    tasks.filter_map(of_task).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_that_load_make_way_for_those_that_answer() {
    let scene = Scene::start("lists").await;
    // Other tests have servers too, some of which have only just begun.
    let made_way = || async {
        let loading = nicenesses("lists");
        !loading.is_empty() && loading.iter().all(|niceness| *niceness >= 5)
    };
    eventually("threads that load lists are nice", made_way).await;
    // As whoever started the tests had it.
    let own = nicenesses("it")[0];
    let answering = nicenesses("udp-");
    assert!(!answering.is_empty() && answering.iter().all(|niceness| *niceness == own), "{answering:?}, {own}");
    scene.end().await;
}
